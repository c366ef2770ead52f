import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { task } from 'offstage'
import { failure, stage } from '../setup/stage.ts'

const SECRET = 'canary-4711-s3cret'
const given = { card: { number: SECRET }, user: 'ann' }

test('what a task redacts is in no line, no event and no details of its runs; its starter has it as it is', async () => {
  const { offstage, lines, told, seen } = stage()
  const pay = task({
    name: 'pay',
    retry: { attempts: 2, initial: 1 },
    redact: ['/card/number'],
    run: async ({ card }: typeof given, ctx) => {
      ctx.log.info({ card, note: `has ${card.number}` }, `charging ${card.number}`)
      ctx.progress({ done: 1, message: `charging ${card.number}` })
      void Promise.reject(new Error(`left behind ${card.number}`))
      await new Promise((resolve) => setImmediate(resolve))
      if (ctx.attempt === 1) throw new TypeError(`refused ${card.number}`, { cause: new Error(card.number) })
      return { receipt: `for ${card.number}`, card }
    },
  })
  const handle = await offstage.start(pay, given, { tags: [SECRET] })
  expect(await handle.result()).toEqual({ receipt: `for ${SECRET}`, card: given.card })
  await seen('run:succeeded')
  const details = await offstage.runs.details(handle.id)
  expect(details).toMatchObject({
    input: { card: { number: '[redacted]' }, user: 'ann' },
    run: { result: { receipt: 'for [redacted]', card: { number: '[redacted]' } } },
  })
  expect(lines.map(({ message }) => message)).toContain('charging [redacted]')
  expect(new Set(told.map(({ name }) => name))).toEqual(
    new Set(['run:started', 'run:retried', 'run:succeeded', 'task:stray']),
  )
  for (const shown of [details, lines, told]) {
    expect(inspect(shown, { depth: null, showHidden: true })).toContain('[redacted]')
    expect(inspect(shown, { depth: null, showHidden: true })).not.toContain(SECRET)
  }
  expect((await handle.status()).result).toEqual({ receipt: `for ${SECRET}`, card: given.card })
})

test('the failure of such a run is told without it, and thrown to its starter as it was', async () => {
  const { offstage, lines, told } = stage()
  const thrown = Object.assign(new Error(`refused ${SECRET}`), { body: { number: SECRET } })
  const pay = task({
    name: 'pay',
    redact: ['/card'],
    run: ({ user }: typeof given) => (user === 'ann' ? Promise.reject(thrown) : user),
  })
  const handle = await offstage.start(pay, given)
  expect((await failure(handle.result())).cause).toBe(thrown)
  const details = await offstage.runs.details(handle.id)
  expect(details).toMatchObject({
    input: { card: '[redacted]', user: 'ann' },
    attempts: [{ came: 'failed', error: { message: 'refused [redacted]' } }],
  })
  for (const shown of [details, lines, told]) {
    expect(inspect(shown, { depth: null })).toContain('refused [redacted]')
    expect(inspect(shown, { depth: null })).not.toContain(SECRET)
  }
})

test('a task that redacts nothing tells the very error that was thrown', async () => {
  const { offstage, seen } = stage()
  const thrown = new Error('refused')
  await offstage.start(task({ name: 'pay', run: () => Promise.reject(thrown) }))
  expect((await seen('run:failed')).error).toBe(thrown)
})

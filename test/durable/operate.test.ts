import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { task } from 'offstage'
import type { OffstageEvents } from '../../src/runtime/channels.ts'
import { failure, gate } from '../setup/stage.ts'
import { STORES, useFiles } from '../setup/stores.ts'
import { instances } from './instance.ts'

useFiles()
const NOBODY = '01a20592-0000-7000-8000-000000000000'
const date = expect.any(Date) as Date

describe.each(STORES)('runs kept in %s:', (_, newPlace) => {
  const instance = instances(newPlace)

  describe('the details of a run', () => {
    test('hold its input, each attempt with its error and lines, and its steps', async () => {
      const flaky = task({
        name: 'flaky',
        durable: true,
        retry: { attempts: 3, initial: 1 },
        run: async (given: { n: number }, ctx) => {
          ctx.log.info({ n: given.n }, `attempt ${ctx.attempt}`)
          const doubled = await ctx.step('double', () => ({ n: given.n * 2 }))
          await ctx.step('nothing', () => {})
          if (ctx.attempt < 3) throw new TypeError(`try ${ctx.attempt}`)
          return doubled.n
        },
      })
      const { offstage } = instance([flaky])
      const handle = await offstage.start(flaky, { n: 4 })
      expect(await handle.result()).toBe(8)
      const details = (await offstage.runs.details(handle.id))!
      const status = await handle.status()
      expect(details.run).toEqual(status)
      expect(details.input).toEqual({ n: 4 })
      expect(details.steps).toEqual([
        { name: 'double', result: { n: 8 } },
        { name: 'nothing', result: undefined },
      ])
      expect(details.attempts).toMatchObject([
        {
          attempt: 1,
          came: 'retry',
          instance: expect.any(String) as string,
          startedAt: date,
          endedAt: date,
          error: { name: 'TypeError', message: 'try 1' },
        },
        { attempt: 2, came: 'retry', error: { message: 'try 2' } },
        { attempt: 3, came: 'succeeded', startedAt: status.startedAt, endedAt: status.finishedAt },
      ])
      expect(details.attempts[2]).not.toHaveProperty('error')
      expect(details.attempts.map(({ logs }) => logs)).toMatchObject(
        [1, 2, 3].map((n) => [{ at: date, level: 'info', message: `attempt ${n}`, fields: { n: 4 } }]),
      )
    })

    test('while it is running show the attempt under way; of a run that nobody knows there are none', async () => {
      const open = gate()
      const slow = task({ name: 'slow', durable: true, run: () => open.opened })
      const { offstage, seen } = instance([slow])
      const handle = await offstage.start(slow)
      await seen('run:started')
      const { run, attempts } = (await offstage.runs.details(handle.id))!
      expect(attempts).toEqual([
        { attempt: 1, came: 'running', instance: run.instance, startedAt: run.startedAt, endedAt: null, logs: [] },
      ])
      open.open()
      await handle.result()
      expect(await offstage.runs.details(NOBODY)).toBeUndefined()
    })

    test('show a sleep as an attempt that was parked, and none of the names that a run remembers beside its steps', async () => {
      const child = task({ name: 'child', durable: true, run: () => 1 })
      const sleepy = task({
        name: 'sleepy',
        durable: true,
        run: async (_: void, ctx) => {
          await (await ctx.start(child)).result()
          await ctx.step('one', () => 1)
          await ctx.sleep('rest', 100)
          return 'awake'
        },
      })
      const { offstage } = instance([sleepy, child])
      const handle = await offstage.start(sleepy)
      expect(await handle.result()).toBe('awake')
      const { attempts, steps } = (await offstage.runs.details(handle.id))!
      expect(attempts.map(({ came }) => came)).toEqual(['parked', 'succeeded'])
      expect(steps).toEqual([{ name: 'one', result: 1 }])
    })
  })

  describe('rerun', () => {
    test('of a run that failed performs it again: the same id and steps, its tries counted anew', async () => {
      let isMended = false
      const steps: number[] = []
      const bad = task({
        name: 'bad',
        durable: true,
        retry: { attempts: 2, initial: 1 },
        run: async (_: void, ctx) => {
          await ctx.step('once', () => steps.push(ctx.attempt))
          if (!isMended) throw new Error('no')
          return ctx.attempt
        },
      })
      const { offstage } = instance([bad])
      const handle = await offstage.start(bad)
      await failure(handle.result())
      isMended = true
      expect(await offstage.runs.rerun(handle.id)).toMatchObject({
        id: handle.id,
        state: 'waiting',
        attempt: 2,
        tries: 0,
        reason: null,
        finishedAt: null,
        expiresAt: null,
      })
      expect(await handle.result()).toBe(3)
      expect(await handle.status()).toMatchObject({ state: 'succeeded', attempt: 3, tries: 1 })
      expect(steps).toEqual([1])
      const { attempts } = (await offstage.runs.details(handle.id))!
      expect(attempts.map(({ came, error }) => [came, error?.message])).toEqual([
        ['retry', 'no'],
        ['failed', 'no'],
        ['succeeded', undefined],
      ])
    })

    test('of one that was canceled, by an instance that performs none', async () => {
      const open = gate()
      const task1 = task({ name: 'later', durable: true, run: () => 'done' })
      const first = instance([task1])
      const handle = await first.offstage.start(task1, undefined, { delay: '1h' })
      expect(await handle.cancel()).toBe('canceled')
      const second = instance([task1], { place: first.place, worker: false })
      await second.offstage.runs.rerun(handle.id)
      open.open()
      expect(await second.offstage.handle(task1, handle.id).result()).toBe('done')
    })

    test('is refused where the run goes on, where it succeeded, and where there is none', async () => {
      const open = gate()
      const slow = task({ name: 'slow', durable: true, run: () => open.opened })
      const { offstage, seen } = instance([slow])
      const waiting = await offstage.start(slow, undefined, { delay: '1h' })
      const running = await offstage.start(slow)
      await seen('run:started')
      for (const { id } of [waiting, running]) {
        expect(await failure(offstage.runs.rerun(id))).toMatchObject({ code: 'OFFSTAGE_RUN_NOT_FINISHED' })
        expect(await failure(offstage.runs.remove(id))).toMatchObject({ code: 'OFFSTAGE_RUN_NOT_FINISHED' })
      }
      open.open()
      await running.result()
      expect(await failure(offstage.runs.rerun(running.id))).toMatchObject({ code: 'OFFSTAGE_RUN_FINISHED' })
      expect(await failure(offstage.runs.rerun(NOBODY))).toMatchObject({ code: 'OFFSTAGE_RUN_NOT_FOUND' })
      expect(await offstage.runs.get(waiting.id)).toMatchObject({ state: 'waiting' })
    })
  })

  test('remove forgets an ended run, and whoever watches or holds it learns of that', async () => {
    const echo = task({ name: 'echo', durable: true, run: (n: number) => n })
    const { offstage } = instance([echo])
    const handle = await offstage.start(echo, 1)
    await handle.result()
    expect(await offstage.runs.remove(handle.id)).toBe(true)
    expect(await offstage.runs.remove(handle.id)).toBe(false)
    expect([await offstage.runs.get(handle.id), await offstage.runs.details(handle.id)]).toEqual([undefined, undefined])
    for (const asked of [handle.status(), handle.result()])
      expect(await failure(asked)).toMatchObject({ code: 'OFFSTAGE_RUN_NOT_FOUND' })
    for await (const _event of offstage.runs.watch(handle.id)) expect.unreachable()
  })

  test('cancel answers what came of it, and each change by an operator is told as audit', async () => {
    const open = gate()
    const slow = task({
      name: 'slow',
      durable: true,
      retry: 1,
      run: (_: void, { signal }) => {
        signal.addEventListener('abort', open.open)
        return open.opened.then(() => signal.throwIfAborted())
      },
    })
    const { offstage, seen } = instance([slow])
    const audits: OffstageEvents['audit'][] = []
    offstage.on('audit', (event) => audits.push(event))
    const waiting = await offstage.start(slow, undefined, { delay: '1h' })
    const running = await offstage.start(slow)
    await seen('run:started')
    expect(await offstage.runs.cancel(waiting.id, 'why')).toBe('canceled')
    expect(await offstage.runs.cancel(running.id)).toBe('canceling')
    expect(await failure(running.result())).toMatchObject({ code: 'OFFSTAGE_CANCELED' })
    expect(await offstage.runs.get(waiting.id)).toMatchObject({ error: { message: 'The run was canceled: why' } })
    expect(await failure(offstage.runs.cancel(NOBODY))).toMatchObject({ code: 'OFFSTAGE_RUN_NOT_FOUND' })
    await offstage.runs.remove(waiting.id)
    expect(audits).toEqual(
      [
        ['cancel', waiting.id],
        ['cancel', running.id],
        ['remove', waiting.id],
      ].map(([action, run]) => ({ action, run, at: date })),
    )
  })

  test('cancel of a run that ended is answered so', async () => {
    const echo = task({ name: 'echo', durable: true, run: () => 1 })
    const { offstage } = instance([echo])
    const handle = await offstage.start(echo)
    await handle.result()
    expect([await handle.cancel(), await offstage.runs.cancel(handle.id)]).toEqual(['finished', 'finished'])
  })

  test('list and tally go over the store and this process, newest first', async () => {
    const kept = task({ name: 'kept', durable: true, run: (n: number) => n })
    const quick = task({ name: 'quick', run: (n: number) => n })
    const bad = task({ name: 'bad', durable: true, retry: 1, run: () => Promise.reject(new Error('no')) })
    const { offstage, place } = instance([kept, bad])
    const handles = []
    for (let n = 0; n < 3; n++) {
      handles.push(await offstage.start(kept, n, { owner: 'ann', tags: [`n${n}`] }))
      handles.push(await offstage.start(quick, n, { owner: 'bob' }))
    }
    for (const handle of handles) await handle.result()
    const failed = await offstage.start(bad, undefined, { queue: 'q', owner: 'ann' })
    await failure(failed.result())
    const all = [...handles, failed]
      .map(({ id }) => id)
      .toSorted()
      .toReversed()
    const paged: string[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: Awaited<ReturnType<typeof offstage.runs.list>> = await offstage.runs.list({
        limit: 2,
        ...(cursor === '' ? {} : { cursor }),
      })
      paged.push(...page.runs.map(({ id }) => id))
      cursor = page.nextCursor
    }
    expect(paged).toEqual(all)
    const found = await offstage.runs.list({ owner: 'ann', tag: 'n1' })
    expect(found.runs).toEqual([await handles[2]!.status()])
    expect((await offstage.runs.list({ queue: 'q', state: 'failed', task: 'bad' })).runs).toMatchObject([
      { id: failed.id },
    ])
    expect(await offstage.runs.tally()).toEqual({
      waiting: 0,
      running: 0,
      succeeded: 6,
      failed: 1,
      canceled: 0,
      total: 7,
    })
    const elsewhere = instance([kept], { place, worker: false }).offstage
    expect(await elsewhere.runs.tally({ owner: 'ann' })).toMatchObject({ succeeded: 3, failed: 1, total: 4 })
  })

  describe('a secret that its task redacts', () => {
    const SECRET = 'canary-4711-s3cret'
    const given = { card: { number: SECRET }, user: 'ann' }
    const pay = task({
      name: 'pay',
      durable: true,
      retry: { attempts: 2, initial: 1 },
      redact: ['/card/number', '/token'],
      run: async ({ card }: typeof given, ctx) => {
        ctx.log.warn({ card, note: `has ${card.number}` }, `charging ${card.number}`)
        const { token } = await ctx.step('token', () => ({ token: `tok-${card.number}` }))
        if (ctx.attempt === 1) throw new TypeError(`refused ${card.number}`, { cause: new Error(token) })
        ctx.progress({ done: 1, message: `charged ${card.number}` })
        return { receipt: `for ${card.number}`, card }
      },
    })
    const fails = task({
      name: 'fails',
      durable: true,
      retry: 1,
      redact: ['/card'],
      run: ({ card }: typeof given) => {
        throw Object.assign(new Error(`refused ${card.number}`), { body: card })
      },
    })

    test('is in no line, no event and no details, of another instance neither; its starter has the result as it is', async () => {
      const { offstage, lines, told, place } = instance([pay])
      const handle = await offstage.start(pay, given, { tags: [SECRET] })
      expect(await handle.result()).toEqual({ receipt: `for ${SECRET}`, card: given.card })
      const details = await offstage.runs.details(handle.id)
      const elsewhere = await instance([pay], { place, worker: false }).offstage.runs.details(handle.id)
      expect(elsewhere).toEqual(details)
      expect(details).toMatchObject({
        input: { card: { number: '[redacted]' }, user: 'ann' },
        run: { result: { receipt: 'for [redacted]', card: { number: '[redacted]' } } },
        steps: [{ name: 'token', result: { token: '[redacted]' } }],
        attempts: [
          {
            error: { message: 'refused [redacted]' },
            logs: [{ message: 'charging [redacted]', fields: { note: 'has [redacted]' } }],
          },
          { came: 'succeeded' },
        ],
      })
      for (const shown of [details, lines, told]) {
        expect(inspect(shown, { depth: null, showHidden: true })).toContain('[redacted]')
        expect(inspect(shown, { depth: null, showHidden: true })).not.toContain(SECRET)
      }
      expect((await handle.status()).result).toEqual({ receipt: `for ${SECRET}`, card: given.card })
    })

    test('is in nothing that is told of a failure', async () => {
      const { offstage, lines, told } = instance([fails])
      const handle = await offstage.start(fails, given)
      expect((await failure(handle.result())).cause).toMatchObject({ message: `refused ${SECRET}` })
      const details = await offstage.runs.details(handle.id)
      for (const shown of [details, lines, told]) {
        expect(inspect(shown, { depth: null, showHidden: true })).toContain('refused [redacted]')
        expect(inspect(shown, { depth: null, showHidden: true })).not.toContain(SECRET)
      }
    })

    test('is not shown where its task is not registered: nothing is', async () => {
      const { offstage, place } = instance([pay])
      const handle = await offstage.start(pay, given)
      await handle.result()
      const other = task({ name: 'other', durable: true, run: () => 1 })
      const elsewhere = instance([other], { place, worker: false }).offstage
      const details = (await elsewhere.runs.details(handle.id))!
      expect(details).toMatchObject({
        input: '[redacted]',
        run: { id: handle.id, state: 'succeeded', result: '[redacted]' },
        steps: [{ name: 'token', result: '[redacted]' }],
        attempts: [
          {
            came: 'retry',
            error: { message: '[redacted]' },
            logs: [{ level: 'warn', message: '[redacted]', fields: {} }],
          },
          { came: 'succeeded' },
        ],
      })
      expect(inspect(details, { depth: null })).not.toMatch(/canary|ann|charg/)
    })
  })
})

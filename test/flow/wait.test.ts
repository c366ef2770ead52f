import { expect, test } from 'vitest'
import type { StandardSchemaV1 } from '../../src/core/schema.ts'
import { attempt, NOW } from './journal.ts'

const signalOf = (name: string, nth = 1) => `offstage:signal:${name}#${nth}`
const waitOf = (name: string, nth = 1) => `offstage:wait:${name}#${nth}`

test('a signal that has come is answered: the n-th call gets the n-th of its name', async () => {
  const { flow } = attempt({
    [signalOf('a')]: '[{"n":1}]',
    [signalOf('a', 2)]: '[null]',
    [signalOf('b')]: '["of b"]',
  })
  expect(await flow.waitFor('a')).toEqual({ n: 1 })
  expect(await flow.waitFor('b')).toBe('of b')
  expect(await flow.waitFor('a')).toBeNull()
})

test.each([
  [undefined, null],
  [{ timeout: '5s' } as const, 5_000],
])('one that has not come gives the run back, for %o', async (options, after) => {
  const { flow, parked } = attempt({ [signalOf('a')]: '[1]' })
  await flow.waitFor('a')
  void flow.waitFor('a', options)
  const signal = { name: 'a', nth: 2 }
  expect(await parked).toEqual({ kind: 'parked', name: waitOf('a', 2), after, at: null, signal })
})

test('a wait whose time is not over goes on until the moment that was kept', async () => {
  const { flow, parked } = attempt({ [waitOf('a')]: String(NOW + 3) })
  void flow.waitFor('a', { timeout: '1h' })
  const signal = { name: 'a', nth: 1 }
  expect(await parked).toEqual({ kind: 'parked', name: waitOf('a'), after: null, at: NOW + 3, signal })
})

test('a wait whose time is over is one that timed out, in this attempt and in every later one', async () => {
  const { flow, kept } = attempt({ [waitOf('a')]: String(NOW) })
  await expect(flow.waitFor('a')).rejects.toMatchObject({ name: 'TimeoutError', code: 'OFFSTAGE_TIMEOUT' })
  expect(kept[signalOf('a')]).toBe('[]')
  await expect(attempt(kept).flow.waitFor('a')).rejects.toMatchObject({ code: 'OFFSTAGE_TIMEOUT' })
})

test('a signal that came between the look and the end of the wait is answered', async () => {
  const { flow, journal } = attempt({ [waitOf('a')]: String(NOW) })
  journal.record.mockResolvedValue('["just in time"]')
  expect(await flow.waitFor('a')).toBe('just in time')
})

const even: StandardSchemaV1<unknown, number> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: async (value) =>
      typeof value === 'number' && value % 2 === 0 ? { value: value * 10 } : { issues: [{ message: 'odd' }] },
  },
}

test('a schema has the last word on the payload', async () => {
  const { flow } = attempt({ [signalOf('a')]: '[2]', [signalOf('a', 2)]: '[3]', [signalOf('a', 3)]: '[4]' })
  expect(await flow.waitFor('a', { schema: even })).toBe(20)
  await expect(flow.waitFor('a', { schema: even })).rejects.toMatchObject({
    code: 'OFFSTAGE_INVALID_INPUT',
    issues: [{ message: 'odd', path: [] }],
  })
  expect(await flow.waitFor('a', { schema: even })).toBe(40)
})

test.each<[unknown, unknown]>([
  ['', {}],
  ['x'.repeat(201), {}],
  ['\ud800', {}],
  [5, {}],
  ['a', { timeout: '5' }],
  ['a', { timeout: -1 }],
  ['a', { timeOut: 1 }],
  ['a', 5],
])('waitFor(%j, %j) is refused before anything is asked, and counts as no call', async (name, options) => {
  const { flow, journal } = attempt({ [signalOf('a')]: '[1]' })
  await expect(flow.waitFor(name as string, options as object)).rejects.toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
  expect(journal.recall).not.toHaveBeenCalled()
  expect(await flow.waitFor('a')).toBe(1)
})

test('two waits at once are refused: the run can be woken by one of them alone', async () => {
  const { flow } = attempt({ [signalOf('c')]: '[1]' })
  const both = Promise.race([flow.waitFor('a'), flow.waitFor('c')])
  expect(await both).toBe(1)
  await expect(flow.waitFor('b')).rejects.toMatchObject({
    code: 'OFFSTAGE_BAD_OPTION',
    message: expect.stringContaining('one after the other') as string,
  })
})

test('within a step it is refused', async () => {
  const { flow } = attempt()
  await expect(flow.step('a', async () => void (await flow.waitFor('b')))).rejects.toMatchObject({
    code: 'OFFSTAGE_BAD_OPTION',
  })
})

import { expect, test, vi } from 'vitest'
import { CanceledError } from '../../src/core/errors.ts'
import type { Journal } from '../../src/flow/journal.ts'
import { steps } from '../../src/flow/step.ts'

function attempt(kept: Record<string, string | null> = {}) {
  const journal = {
    recall: vi.fn<Journal['recall']>(async (name) => kept[name]),
    record: vi.fn<Journal['record']>(async (name, result) => void (kept[name] = result)),
  }
  const ending = new AbortController()
  const limit = { bytes: 100, depth: 4 }
  const step = steps(journal, { claim: { run: 'r1', attempt: 2 }, signal: ending.signal, limit })
  return { kept, journal, ending, step }
}

test('a step is run once: later attempts get its result from the journal', async () => {
  const { kept, step } = attempt()
  expect(await step('a', () => ({ n: 1 }))).toEqual({ n: 1 })
  const later = vi.fn<() => { n: number }>(() => ({ n: 2 }))
  expect(await attempt(kept).step('a', later)).toEqual({ n: 1 })
  expect(later).not.toHaveBeenCalled()
})

test('a step without a result is done as well', async () => {
  const { kept, step } = attempt()
  const fn = vi.fn<() => void>()
  expect(await step('a', fn)).toBeUndefined()
  expect(await attempt(kept).step('a', fn)).toBeUndefined()
  expect(fn).toHaveBeenCalledTimes(1)
})

test('the first attempt sees what a later one will', async () => {
  const { step } = attempt()
  const given = { kept: 1, dropped: undefined, list: [-0] }
  const got = await step('a', () => given)
  expect(Object.keys(got)).toEqual(['kept', 'list'])
  expect(Object.is(got.list[0], -0)).toBe(true)
  expect(got).not.toBe(given)
})

test('a step answers when its result is on disk, not before', async () => {
  const { journal, step } = attempt()
  const disk = Promise.withResolvers<void>()
  journal.record.mockReturnValue(disk.promise)
  let answered = false
  const end = step('a', () => 1).finally(() => (answered = true))
  await vi.waitFor(() => expect(journal.record).toHaveBeenCalledWith('a', '1'))
  expect(answered).toBe(false)
  disk.resolve()
  expect(await end).toBe(1)
})

test('each step has the signal and a key that is the same in every attempt', async () => {
  const { ending, step } = attempt()
  const fn = vi.fn<(given: { signal: AbortSignal; idempotencyKey: string }) => void>()
  await step('charge', fn)
  expect(fn).toHaveBeenCalledWith({ signal: ending.signal, idempotencyKey: 'r1:charge' })
})

test('a step that throws, or whose result is no JSON or too large, is not recorded', async () => {
  const { journal, step } = attempt()
  await expect(step('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  await expect(step('b', () => new Date() as never)).rejects.toMatchObject({ code: 'OFFSTAGE_NOT_SERIALIZABLE' })
  await expect(step('c', () => 'x'.repeat(101))).rejects.toMatchObject({ code: 'OFFSTAGE_PAYLOAD_TOO_LARGE' })
  expect(journal.record).not.toHaveBeenCalled()
})

test('a step whose record is refused is refused', async () => {
  const { journal, step } = attempt()
  journal.record.mockRejectedValue(new Error('fenced'))
  await expect(step('a', () => 1)).rejects.toThrow('fenced')
})

test('one name is for one step of an attempt', async () => {
  const { step } = attempt()
  const both = await Promise.allSettled([step('a', () => 1), step('a', () => 2)])
  expect(both[0]).toEqual({ status: 'fulfilled', value: 1 })
  expect(both[1]).toMatchObject({ reason: { code: 'OFFSTAGE_BAD_OPTION', message: expect.stringContaining('"a"') } })
  await expect(step('a', () => 3)).rejects.toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
})

test.each<unknown>(['', 'x'.repeat(201), 'offstage:child:report#1', 5, undefined])(
  '%j is no name of a step',
  async (name) => {
    const { journal, step } = attempt()
    await expect(step(name as string, () => 1)).rejects.toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
    expect(journal.recall).not.toHaveBeenCalled()
  },
)

test('after the signal no step begins', async () => {
  const { journal, ending, step } = attempt({ known: '1' })
  const reason = new CanceledError()
  const fn = vi.fn<() => void>()
  journal.recall.mockImplementationOnce(async () => {
    ending.abort(reason)
    return undefined
  })
  await expect(step('asked before', fn)).rejects.toBe(reason)
  await expect(step('known', fn)).rejects.toBe(reason)
  expect(fn).not.toHaveBeenCalled()
})

import { expect, test, vi } from 'vitest'
import { CanceledError } from '../../src/core/errors.ts'
import { attempt } from './journal.ts'

test('a step is run once: later attempts get its result from the journal', async () => {
  const { kept, flow } = attempt()
  expect(await flow.step('a', () => ({ n: 1 }))).toEqual({ n: 1 })
  const later = vi.fn<() => { n: number }>(() => ({ n: 2 }))
  expect(await attempt(kept).flow.step('a', later)).toEqual({ n: 1 })
  expect(later).not.toHaveBeenCalled()
})

test('a step without a result is done as well', async () => {
  const { kept, flow } = attempt()
  const fn = vi.fn<() => void>()
  expect(await flow.step('a', fn)).toBeUndefined()
  expect(await attempt(kept).flow.step('a', fn)).toBeUndefined()
  expect(fn).toHaveBeenCalledTimes(1)
})

test('the first attempt sees what a later one will', async () => {
  const { flow } = attempt()
  const given = { kept: 1, dropped: undefined, list: [-0] }
  const got = await flow.step('a', () => given)
  expect(Object.keys(got)).toEqual(['kept', 'list'])
  expect(Object.is(got.list[0], -0)).toBe(true)
  expect(got).not.toBe(given)
})

test('a step answers when its result is on disk, not before', async () => {
  const { journal, flow } = attempt()
  const disk = Promise.withResolvers<string | null>()
  journal.record.mockReturnValue(disk.promise)
  let answered = false
  const end = flow.step('a', () => 1).finally(() => (answered = true))
  await vi.waitFor(() => expect(journal.record).toHaveBeenCalledWith('a', '1'))
  expect(answered).toBe(false)
  disk.resolve('1')
  expect(await end).toBe(1)
})

test('each step has the signal and a key that is the same in every attempt', async () => {
  const { ending, flow } = attempt()
  const fn = vi.fn<(given: { signal: AbortSignal; idempotencyKey: string }) => void>()
  await flow.step('charge', fn)
  expect(fn).toHaveBeenCalledWith({ signal: ending.signal, idempotencyKey: 'r1:charge' })
})

test('a step that throws, or whose result is no JSON or too large, is not recorded', async () => {
  const { journal, flow } = attempt()
  await expect(flow.step('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  await expect(flow.step('b', () => new Date() as never)).rejects.toMatchObject({ code: 'OFFSTAGE_NOT_SERIALIZABLE' })
  await expect(flow.step('c', () => 'x'.repeat(101))).rejects.toMatchObject({ code: 'OFFSTAGE_PAYLOAD_TOO_LARGE' })
  expect(journal.record).not.toHaveBeenCalled()
})

test('a step that was recorded before, unknown to this attempt, comes to what is kept', async () => {
  const { journal, flow } = attempt()
  journal.record.mockResolvedValue('"the first"')
  expect(await flow.step('a', () => 'the second')).toBe('the first')
})

test('a step whose record is refused is refused', async () => {
  const { journal, flow } = attempt()
  journal.record.mockRejectedValue(new Error('fenced'))
  await expect(flow.step('a', () => 1)).rejects.toThrow('fenced')
})

test('one name is for one step of an attempt', async () => {
  const { flow } = attempt()
  const both = await Promise.allSettled([flow.step('a', () => 1), flow.step('a', () => 2)])
  expect(both[0]).toEqual({ status: 'fulfilled', value: 1 })
  expect(both[1]).toMatchObject({ reason: { code: 'OFFSTAGE_BAD_OPTION', message: expect.stringContaining('"a"') } })
  await expect(flow.step('a', () => 3)).rejects.toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
})

test.each<unknown>(['', 'x'.repeat(201), 'offstage:child:report#1', 'offstage:', '\ud800', 5, undefined])(
  '%j is no name of a step',
  async (name) => {
    const { journal, flow } = attempt()
    await expect(flow.step(name as string, () => 1)).rejects.toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
    expect(journal.recall).not.toHaveBeenCalled()
  },
)

test('after the signal no step begins', async () => {
  const { journal, ending, flow } = attempt({ known: '1' })
  const reason = new CanceledError()
  const fn = vi.fn<() => void>()
  journal.recall.mockImplementationOnce(async () => {
    ending.abort(reason)
    return undefined
  })
  await expect(flow.step('asked before', fn)).rejects.toBe(reason)
  await expect(flow.step('known', fn)).rejects.toBe(reason)
  expect(fn).not.toHaveBeenCalled()
})

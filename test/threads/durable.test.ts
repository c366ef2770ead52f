import { expect, test } from 'vitest'
import { FencedError } from '../../src/core/errors.ts'
import type { Journal } from '../../src/runtime/executor.ts'
import { limits, stage } from './stage.ts'

function journal(kept: Record<string, string | null> = {}): Journal & { readonly kept: Record<string, string | null> } {
  return {
    kept,
    recall: async (name) => kept[name],
    record: async (name, result) => void (kept[name] = result),
  }
}

test('a step is recorded before the next one begins, and a later attempt gets it from there', async () => {
  const { run } = await stage()
  const first = journal()
  const result = { first: { key: 'run-1:first' }, second: 2 }
  expect(await run('ledger', { input: 'steps', journal: first })).toEqual(result)
  expect(first.kept).toEqual({ first: '{"key":"run-1:first"}', second: '2' })
  expect(await run('ledger', { input: 'steps', journal: journal(first.kept) })).toEqual(result)
})

test('a step that throws is not recorded', async () => {
  const { run } = await stage()
  const memory = journal()
  await expect(run('ledger', { input: 'fails', journal: memory })).rejects.toThrow('no second')
  expect(Object.keys(memory.kept)).toEqual(['first'])
})

test('an attempt that has lost its run is told so by its step', async () => {
  const { run } = await stage()
  const record = async () => {
    throw new FencedError('run-1#7')
  }
  const end = run('ledger', { input: 'steps', journal: { ...journal(), record } })
  await expect(end).rejects.toThrow(FencedError)
  await expect(end).rejects.toThrow('run-1#7')
})

test('an instance of a class does not become a plain object on its way', async () => {
  const { run } = await stage()
  const refused = expect.objectContaining({
    code: 'OFFSTAGE_NOT_SERIALIZABLE',
    message: expect.stringContaining('an instance of Money'),
  })
  await expect(run('ledger', { input: 'result', journal: journal() })).rejects.toEqual(refused)
  await expect(run('ledger', { input: 'output', journal: journal() })).rejects.toEqual(refused)
})

test('a step larger than the limit is refused on the thread', async () => {
  const { run } = await stage()
  const large = expect.objectContaining({
    code: 'OFFSTAGE_PAYLOAD_TOO_LARGE',
    message: expect.stringContaining(`${limits.result}`),
  })
  await expect(run('large', { input: limits.result, journal: journal() })).rejects.toEqual(large)
})

test.each(['step', 'sleep', 'waitFor'])(
  'ctx.%s of a task in memory says that it needs a durable one',
  async (input) => {
    const { run } = await stage()
    await expect(run('inMemory', { input })).rejects.toMatchObject({ code: 'OFFSTAGE_NOT_DURABLE' })
  },
)

test('ctx.sleep is not built yet, and says so', async () => {
  const { run } = await stage()
  await expect(run('sleeps', { journal: journal() })).rejects.toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
})

import { expect, test } from 'vitest'
import { FencedError } from '../../src/core/errors.ts'
import type { Parking } from '../../src/core/outcome.ts'
import type { Journal } from '../../src/runtime/executor.ts'
import { limits, stage, type Said } from './stage.ts'

interface Kept extends Journal {
  readonly kept: Record<string, string | null>
  readonly parkings: Parking[]
}

/** The store's time is far from this machine's. */
const NOW = 5_000_000

function journal(kept: Record<string, string | null> = {}): Kept {
  const parkings: Parking[] = []
  return {
    kept,
    parkings,
    recall: async (name) => kept[name],
    record: async (name, result) => (kept[name] ??= result),
    park: (parking) => void parkings.push(parking),
    now: () => NOW,
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

test('a sleep is told to the journal, and its thread is free at once', async () => {
  const { run, executor } = await stage()
  const first = journal()
  const said: Said[] = []
  const end = run('sleeps', { input: 3_600_000, journal: first, hear: (what) => said.push(what) })
  const next = run('onWhich')
  expect(await end).toBeUndefined()
  expect(first.parkings).toEqual([
    { kind: 'parked', name: 'offstage:sleep:a while', after: expect.any(Number), at: null, signal: null },
  ])
  expect(first.parkings[0]?.after).toBeGreaterThan(3_590_000)
  expect(said).toEqual([['output', await next]])
  expect(executor.free).toBe(1)
})

test('a sleep that is over by the time of the store goes on, whatever time it is here', async () => {
  const { run } = await stage()
  const over = journal({ 'offstage:sleep:a while': String(NOW) })
  expect(await run('sleeps', { input: 3_600_000, journal: over })).toEqual(expect.any(Number))
  const ahead = journal({ 'offstage:sleep:a while': String(NOW + 60_000) })
  await run('sleeps', { input: 0, journal: ahead })
  expect(ahead.parkings).toMatchObject([{ at: NOW + 60_000 }])
})

test('what runs beside a sleep is finished and recorded first; what it told is heard', async () => {
  const { run } = await stage()
  const memory = journal()
  const said: Said[] = []
  const order: unknown[] = []
  const end = run('sleepsBeside', {
    journal: {
      ...memory,
      record: async (name, result) => (order.push(name), memory.record(name, result)),
      park: ({ name }) => void order.push(name),
    },
    start: (async () => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      order.push('child')
      return { id: 'run-child', disposition: 'created' }
    }) as never,
    hear: (what) => said.push(what),
  })
  await end
  expect(order).toEqual(['child', 'long', 'offstage:sleep:a while'])
  expect(said).toEqual([['progress', 0.5]])
})

test('code that goes on after its run was given back is heard no more, and disturbs no other run', async () => {
  const { run, strays } = await stage()
  const memory = journal()
  const said: Said[] = []
  await run('goesOn', { journal: memory, hear: (what) => said.push(what) })
  said.length = 0
  const kept = Object.keys(memory.kept).length
  await run('waits', { input: 120, hear: (what) => said.push(what) })
  expect(said).toEqual([])
  expect(Object.keys(memory.kept)).toHaveLength(kept)
  expect(strays).toEqual([])
})

test('a signal is waited for and answered', async () => {
  const { run } = await stage()
  const waiting = journal()
  await run('awaits', { input: 500, journal: waiting })
  const signal = { name: 'go', nth: 1 }
  expect(waiting.parkings).toMatchObject([{ name: 'offstage:wait:go#1', after: expect.any(Number), at: null, signal }])
  const come = journal({ 'offstage:signal:go#1': '[{"n":1}]' })
  expect(await run('awaits', { input: 500, journal: come })).toEqual({ n: 1 })
  const late = journal({ 'offstage:wait:go#1': String(NOW) })
  await expect(run('awaits', { input: 500, journal: late })).rejects.toMatchObject({ code: 'OFFSTAGE_TIMEOUT' })
  expect(late.kept['offstage:signal:go#1']).toBe('[]')
})

test('ctx.tx asks our side, where its store has transactions', async () => {
  const { run } = await stage()
  const asked: unknown[] = []
  const said: Said[] = []
  const query = async (text: string, values?: readonly unknown[]) => {
    asked.push([text, values])
    if (text === 'bad') throw new Error('no such word')
    return { rows: [] }
  }
  const end = run('writes', { journal: journal(), tx: { query }, hear: (what) => said.push(what) })
  expect(await end).toBe(0)
  expect(asked).toEqual([
    ['insert into bills values (?, ?)', ['a', 1n]],
    ['bad', undefined],
  ])
  expect(said).toEqual([['output', 'no such word']])
  expect(await run('writes', { journal: journal() })).toBe('none')
})

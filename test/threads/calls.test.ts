import { setImmediate as turn } from 'node:timers/promises'
import { AsyncLocalStorage } from 'node:async_hooks'
import { expect, test } from 'vitest'
import { newGate, open } from './gate.ts'
import { begun, stage, type Said } from './stage.ts'

test('a TypeScript module is loaded, and values go there and back as they are', async () => {
  const { run } = await stage()
  const input = {
    at: new Date(5),
    seen: new Map([[1, new Set('ab')]]),
    bytes: new Uint8Array([1, 2]),
    absent: undefined,
  }
  expect(await run('echo', { input })).toEqual(input)
})

test('code runs on as many threads as the pool has, and each is used again', async () => {
  const { run, executor } = await stage({ size: 2 })
  expect(executor.free).toBe(2)
  const gate = newGate()
  const blocked = run('blocks', { input: gate })
  expect(executor.free).toBe(1)
  const other = new Set([await run('onWhich'), await run('onWhich'), await run('onWhich')])
  open(gate)
  expect(other.size).toBe(1)
  expect(other).not.toContain(await blocked)
  expect(await run('onWhich')).toBe(await blocked)
  expect(executor.free).toBe(2)
})

test('code that blocks its thread blocks nothing else', async () => {
  const { run } = await stage({ size: 2 })
  const gate = newGate()
  const { hear, begun: heard } = begun()
  const blocked = run('blocks', { input: gate, hear })
  await heard
  for (let turns = 0; turns < 1_000; turns++) await turn()
  expect(await run('echo', { input: 1 })).toBe(1)
  expect(Atomics.load(gate, 0)).toBe(0)
  open(gate)
  await blocked
})

test('calls beyond the threads wait in their order', async () => {
  const { run, executor } = await stage({ size: 1 })
  const order: unknown[] = []
  const ends = [1, 2, 3, 4].map(async (input) => order.push(await run('echo', { input })))
  expect(executor.free).toBe(0)
  await Promise.all(ends)
  expect(order).toEqual([1, 2, 3, 4])
  expect(executor.free).toBe(1)
})

test('what code says arrives before its end, in order, whatever is logged', async () => {
  const { run } = await stage()
  const heard: Said[] = []
  const end = await run('tells', { hear: (said) => void heard.push(said) })
  expect(end).toEqual({ id: 'run-1', attempt: 7 })
  expect(heard).toEqual([
    ['log', { level: 'info', message: 'begun', line: 1, run: 'run-1', task: 'tells', attempt: 7 }],
    ['output', { piece: 1 }],
    ['progress', { done: 1, total: 4, message: 'a quarter', fraction: 0.25 }],
    ['output', { piece: 2 }],
    ['log', { level: 'warn', message: 'not cloneable', fields: expect.stringContaining('refused: [Function') }],
    ['output', { piece: 3 }],
  ])
})

test('progress comes while code blocks, not each of it, and the last before the end', async () => {
  const { run } = await stage()
  const heard: Said[] = []
  await run('tellsWhileItBlocks', { input: 400, hear: (said) => void heard.push(said) })
  const progress = heard.filter(([kind]) => kind === 'progress')
  expect(progress.length).toBeGreaterThan(3)
  expect(progress.length).toBeLessThan(50)
  expect(progress[0]).toEqual(['progress', expect.objectContaining({ done: 1 })])
  expect(progress.at(-1)).toEqual(['progress', expect.objectContaining({ done: 400, fraction: 1 })])
})

test('what code says after its end is not heard, nor taken for what the next run says', async () => {
  const { run } = await stage()
  const heard: Said[] = []
  const hear = (said: Said) => void heard.push(said)
  await run('tellsTooLate', { hear })
  await run('waits', { input: 50, hear })
  expect(heard).toEqual([])
})

test('a refusal on our side is told and ends nothing', async () => {
  const { run, strays } = await stage()
  const refusal = new Error('the output is too large')
  const hear = ([kind]: Said): void => {
    if (kind === 'output') throw refusal
  }
  expect(await run('emits', { input: 'too large', hear })).toBe('ended')
  expect(strays).toEqual([{ claim: { run: 'run-1', attempt: 7 }, task: 'emits', error: refusal }])
})

test('a thread knows no async context of a run before', async () => {
  const { run } = await stage()
  expect([await run('context'), await run('context')]).toEqual([undefined, undefined])
})

test('what a thread says is not heard in the context of the run that first needed it', async () => {
  const { run } = await stage()
  const caller = new AsyncLocalStorage<string>()
  const found: unknown[] = []
  const asked = { input: 1, hear: () => void found.push(caller.getStore()) }
  await caller.run('the first', () => run('emits', asked))
  await caller.run('the second', () => run('emits', asked))
  expect(found).toEqual([undefined, undefined])
})

test('a run that was aborted before it began does not begin', async () => {
  const { run, executor } = await stage()
  const reason = new Error('not wanted')
  await expect(run('echo', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  const first = begun()
  const gate = newGate()
  const ending = new AbortController()
  const blocked = run('blocks', { input: gate, hear: first.hear })
  const waiting = run('echo', { signal: ending.signal })
  await first.begun
  ending.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  open(gate)
  await blocked
  expect(executor.free).toBe(1)
})

test('a thread more than there is room for ends as soon as it has nothing to do', async () => {
  const { run, executor } = await stage({ size: 1 })
  const [parent, neighbour] = [newGate(), newGate()]
  const first = run('blocks', { input: parent })
  executor.leave()
  const { hear, begun: heard } = begun()
  const second = run('blocks', { input: neighbour, hear })
  await heard
  executor.enter()
  open(parent)
  await first
  const third = run('onWhich')
  open(neighbour)
  expect(await third).toBe(await second)
})

import { setImmediate as turn } from 'node:timers/promises'
import { AsyncLocalStorage } from 'node:async_hooks'
import { expect, test } from 'vitest'
import { begun, stage, type Said } from './stage.ts'

test('a TypeScript module is loaded, and values go there and back as they are', async () => {
  const { run } = await stage()
  const input = { at: new Date(5), seen: new Map([[1, new Set('ab')]]), bytes: new Uint8Array([1, 2]), absent: undefined }
  expect(await run('echo', { input })).toEqual(input)
})

test('code runs on another thread, and each thread is used again', async () => {
  const { run, executor } = await stage({ size: 2 })
  expect(executor.free).toBe(2)
  const first = await Promise.all([run('blocks', { input: 100 }), run('onWhich'), run('onWhich')])
  const ids = new Set<unknown>(first.slice(1))
  for (let n = 0; n < 10; n++) ids.add(await run('onWhich'))
  expect(ids.size).toBeLessThanOrEqual(2)
  expect(executor.free).toBe(2)
})

test('code that blocks its thread blocks nothing else', async () => {
  const { run, executor } = await stage({ size: 2 })
  let turns = 0
  let over = false
  const blocked = run('blocks', { input: 300 }).finally(() => (over = true))
  expect(executor.free).toBe(1)
  expect(await run('echo', { input: 1 })).toBe(1)
  expect(over).toBe(false)
  for (; !over; turns++) await turn()
  expect(await blocked).toBe('unblocked')
  expect(turns).toBeGreaterThan(100)
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
  expect(heard.at(-1)).toEqual(['progress', expect.objectContaining({ done: 400, fraction: 1 })])
})

test('what code says after its end is not heard', async () => {
  const { run } = await stage()
  const heard: Said[] = []
  await run('tellsTooLate', { hear: (said) => void heard.push(said) })
  await run('blocks', { input: 20, hear: (said) => void heard.push(said) })
  expect(heard).toEqual([['output', 'begun']])
})

test('a refusal on our side is told and ends nothing', async () => {
  const { run, strays } = await stage()
  const refusal = new Error('the output is too large')
  const hear = ([kind]: Said): void => {
    if (kind === 'output') throw refusal
  }
  expect(await run('blocks', { input: 1, hear })).toBe('unblocked')
  expect(strays).toEqual([{ claim: { run: 'run-1', attempt: 7 }, task: 'blocks', error: refusal }])
})

test('no async context of a caller, or of a run before, is there', async () => {
  const { run } = await stage()
  const caller = new AsyncLocalStorage<string>()
  const found = await caller.run('the caller', async () => [await run('context'), await run('context')])
  expect(found).toEqual([undefined, undefined])
})

test('a run that was aborted before it began does not begin', async () => {
  const { run, executor } = await stage()
  const reason = new Error('not wanted')
  await expect(run('echo', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  const first = begun()
  const ending = new AbortController()
  const blocked = run('blocks', { input: 100, hear: first.hear })
  const waiting = run('echo', { signal: ending.signal })
  await first.begun
  ending.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  expect(await blocked).toBe('unblocked')
  expect(executor.free).toBe(1)
})

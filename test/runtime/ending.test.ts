import { AsyncLocalStorage } from 'node:async_hooks'
import { expect, test } from 'vitest'
import { Ending } from '../../src/runtime/ending.ts'

test('the first reason stands, for whoever looks before and whoever looks after', () => {
  const [first, second] = [new Error('first'), new Error('second')]
  const before = new Ending()
  const { signal } = before
  expect([signal.aborted, before.reason]).toEqual([false, undefined])
  before.abort(first)
  before.abort(second)
  expect([signal.aborted, signal.reason, before.reason]).toEqual([true, first, first])
  const after = new Ending()
  after.abort(first)
  after.abort(second)
  expect([after.signal.aborted, after.signal.reason]).toEqual([true, first])
  expect(after.signal).toBe(after.signal)
})

test('whoever performs the attempt is told once, also where it was too late for him to listen', () => {
  const reason = new Error('enough')
  let told = 0
  const before = new Ending()
  before.onAbort(() => told++)
  before.abort(reason)
  before.abort(reason)
  const after = new Ending()
  after.abort(reason)
  after.onAbort(() => told++)
  expect(told).toBe(2)
})

test('a listener of the signal is called in the context of the code that looked at it, not of whoever ends it', () => {
  const context = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const ending = new Ending()
  context.run('of the code', () => ending.signal.addEventListener('abort', () => seen.push(context.getStore())))
  context.run('of the canceler', () => ending.abort(new Error('enough')))
  expect(seen).toEqual(['of the code'])
})

test('whoever performs the attempt is told that its code waits; where nobody does, nothing happens', () => {
  const parking = { kind: 'parked', name: 'offstage:sleep:a', after: 1, at: null, signal: null } as const
  const told: unknown[] = []
  const ending = new Ending()
  ending.park(parking)
  ending.onPark((given) => told.push(given))
  ending.park(parking)
  expect([told, ending.reason]).toEqual([[parking], undefined])
})

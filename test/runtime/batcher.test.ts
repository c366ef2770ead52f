import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Batcher } from '../../src/runtime/batcher.ts'
import { FakeClock, turns } from '../setup/fake-clock.ts'

/** Flights that land when the test says so. */
function airport(limits = { flights: 1, items: 1_000 }) {
  const flights: { readonly items: readonly number[]; land(): void; crash(error: unknown): void; over: boolean }[] = []
  let most = 0
  const send = (items: readonly number[]): Promise<readonly string[]> => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>()
    const flight = {
      items,
      over: false,
      land: () => ((flight.over = true), resolve(items.map((item) => `answer ${item}`))),
      crash: (error: unknown) => ((flight.over = true), reject(error)),
    }
    flights.push(flight)
    most = Math.max(most, flights.filter(({ over }) => !over).length)
    return promise
  }
  return { flights, batcher: new Batcher<number, string>(send, limits, new FakeClock()), most: () => most }
}

test('whatever is added in one turn leaves together, at its end, in order', async () => {
  const { flights, batcher } = airport()
  const answers = [1, 2, 3].map((item) => batcher.add(item))
  await Promise.resolve()
  answers.push(batcher.add(4))
  expect(flights).toEqual([])
  await turns(1)
  expect(flights.map(({ items }) => items)).toEqual([[1, 2, 3, 4]])
  flights[0]?.land()
  expect(await Promise.all(answers)).toEqual(['answer 1', 'answer 2', 'answer 3', 'answer 4'])
})

test('while a flight is out, whatever comes waits, in whichever turn, and leaves together when it has landed', async () => {
  const { flights, batcher, most } = airport()
  void batcher.add(1)
  await turns(1)
  const later = []
  for (let item = 2; item <= 6; item++) {
    later.push(batcher.add(item))
    await turns(2)
  }
  expect(flights).toHaveLength(1)
  flights[0]?.land()
  await turns()
  expect(flights.map(({ items }) => items)).toEqual([[1], [2, 3, 4, 5, 6]])
  flights[1]?.land()
  expect(await Promise.all(later)).toHaveLength(5)
  expect(most()).toBe(1)
})

test('a flight that fails rejects its own items, and the next one flies', async () => {
  const { flights, batcher } = airport()
  const lost = [batcher.add(1), batcher.add(2)].map((answer) => answer.catch((error: Error) => error.message))
  await turns(1)
  const kept = batcher.add(3)
  flights[0]?.crash(new Error('disk'))
  expect(await Promise.all(lost)).toEqual(['disk', 'disk'])
  await turns()
  flights[1]?.land()
  expect(await kept).toBe('answer 3')
})

test('what throws before it flies rejects its items as well', async () => {
  const batcher = new Batcher<number, string>(
    () => {
      throw new Error('no runway')
    },
    { flights: 1, items: 10 },
    new FakeClock(),
  )
  for (const item of [1, 2]) await expect(batcher.add(item)).rejects.toThrow('no runway')
})

test('a flight takes no more than its limit; the rest waits for the next', async () => {
  const { flights, batcher } = airport({ flights: 1, items: 3 })
  const answers = Array.from({ length: 8 }, (_, item) => batcher.add(item))
  for (let flight = 0; flight < 3; flight++) {
    await turns()
    expect(flights).toHaveLength(flight + 1)
    flights[flight]?.land()
  }
  expect(await Promise.all(answers)).toHaveLength(8)
  expect(flights.map(({ items }) => items)).toEqual([
    [0, 1, 2],
    [3, 4, 5],
    [6, 7],
  ])
})

describe('whatever the interleaving of additions, turns, landings and crashes', () => {
  const actions = fc.array(
    fc.oneof(fc.constant('add'), fc.constant('turn'), fc.constant('land'), fc.constant('crash')),
    { maxLength: 60 },
  )

  test.each([1, 2, 3])(
    'each item flies once, in order, with at most %i flights out, and gets its own answer',
    async (limit) => {
      await fc.assert(
        fc.asyncProperty(actions, fc.integer({ min: 1, max: 4 }), async (steps, size) => {
          const { flights, batcher, most } = airport({ flights: limit, items: size })
          const answers: Promise<unknown>[] = []
          const add = (): void => void answers.push(batcher.add(answers.length).catch((error: unknown) => error))
          const end = (how: 'land' | 'crash'): void => flights.find(({ over }) => !over)?.[how](how)
          for (const step of steps) {
            if (step === 'add') add()
            else if (step === 'turn') await turns(1)
            else end(step)
          }
          while (flights.flatMap(({ items }) => items).length < answers.length || flights.some(({ over }) => !over)) {
            end('land')
            await turns(1)
          }
          const flown = flights.flatMap(({ items }) => items)
          expect(flown).toEqual(answers.map((_, item) => item))
          expect(flights.every(({ items }) => items.length >= 1 && items.length <= size)).toBe(true)
          expect(most()).toBeLessThanOrEqual(limit)
          for (const [item, answer] of (await Promise.all(answers)).entries())
            expect([`answer ${item}`, 'crash']).toContain(answer)
        }),
        { numRuns: 60 },
      )
    },
  )
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Lending, type Place } from '../../src/runtime/lending.ts'
import { Limiter } from '../../src/runtime/limiter.ts'
import { FakeClock, turns } from '../setup/fake-clock.ts'
import { gate } from '../setup/stage.ts'

/** A limiter whose items run until the test ends them. */
function line(limit: number) {
  const begun: number[] = []
  const running = new Map<number, () => void>()
  let most = 0
  const limiter = new Limiter<number>(limit, new FakeClock(), (item) => {
    begun.push(item)
    return new Promise((resolve) => {
      running.set(item, () => {
        running.delete(item)
        resolve()
      })
      most = Math.max(most, running.size)
    })
  })
  return { limiter, begun, running, most: () => most }
}

test('what is added begins in a later turn, however free the places are', async () => {
  const { limiter, begun } = line(5)
  limiter.add(1, 0)
  for (let microtask = 0; microtask < 100; microtask++) await Promise.resolve()
  expect(begun).toEqual([])
  await turns(1)
  expect(begun).toEqual([1])
})

test('higher priority begins first, and of one priority what came first', async () => {
  const { limiter, begun, running } = line(1)
  for (const [item, priority] of [
    [0, 0],
    [1, -3],
    [2, 7],
    [3, 0],
    [4, 7],
    [5, -3],
    [6, 0],
  ] as const)
    limiter.add(item, priority)
  for (let n = 0; n < 7; n++) {
    await turns()
    for (const end of running.values()) end()
  }
  expect(begun).toEqual([2, 4, 0, 3, 6, 1, 5])
})

test('many items of one priority keep their order, as the line behind them is cut off again and again', async () => {
  const { limiter, begun, running } = line(100)
  const many = 5_000
  for (let item = 0; item < many; item++) limiter.add(item, 0)
  while (begun.length < many || running.size > 0) {
    await turns(1)
    for (const end of running.values()) end()
  }
  expect(begun).toEqual(Array.from({ length: many }, (_, item) => item))
})

test('the place of an item that fails is free again', async () => {
  const begun: number[] = []
  const limiter = new Limiter<number>(1, new FakeClock(), async (item) => void begun.push(item))
  for (const item of [1, 2, 3]) limiter.add(item, 0)
  await turns()
  expect(begun).toEqual([1, 2, 3])
})

test('whatever comes and goes, the limit holds, nothing is lost and each begins once', async () => {
  const actions = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('add' as const), priority: fc.integer({ min: -2, max: 2 }) }),
      fc.constant({ kind: 'turn' as const, priority: 0 }),
      fc.record({ kind: fc.constant('end' as const), priority: fc.nat() }),
    ),
    { maxLength: 80 },
  )
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), actions, async (limit, steps) => {
      const { limiter, begun, running, most } = line(limit)
      const priorities: number[] = []
      for (const { kind, priority } of steps) {
        if (kind === 'add') limiter.add(priorities.push(priority) - 1, priority)
        else if (kind === 'turn') await turns(1)
        else [...running.values()][priority % Math.max(1, running.size)]?.()
      }
      while (begun.length < priorities.length || running.size > 0) {
        for (const end of running.values()) end()
        await turns(1)
      }
      expect(begun.toSorted((a, b) => a - b)).toEqual(priorities.map((_, item) => item))
      expect(most()).toBeLessThanOrEqual(limit)
      // Of one priority: in the order they came.
      for (const priority of new Set(priorities)) {
        const alike = begun.filter((item) => priorities[item] === priority)
        expect(alike).toEqual(alike.toSorted((a, b) => a - b))
      }
    }),
    { numRuns: 60 },
  )
})

describe('lending', () => {
  /** Counts how often its place is free. */
  const counted = (): Place & { free: number } => {
    const place = { free: 0, leave: () => void place.free++, enter: () => void place.free-- }
    return place
  }

  test('frees the place for as long as anything is waited for, once, and in all the places it has', async () => {
    const places = [counted(), counted()]
    const lending = new Lending(...places)
    const [one, two] = [gate(), gate()]
    const waits = [lending.lend(() => one.opened), lending.lend(() => two.opened)]
    expect(places.map(({ free }) => free)).toEqual([1, 1])
    one.open()
    await waits[0]
    expect(places.map(({ free }) => free)).toEqual([1, 1])
    two.open()
    await waits[1]
    expect(places.map(({ free }) => free)).toEqual([0, 0])
  })

  test('gives back what is waited for, and takes the place back where the wait fails', async () => {
    const place = counted()
    const lending = new Lending(place)
    expect(await lending.lend(async () => 'answer')).toBe('answer')
    await expect(lending.lend(() => Promise.reject(new Error('of the child')))).rejects.toThrow('of the child')
    await expect(
      lending.lend(() => {
        throw new Error('at once')
      }),
    ).rejects.toThrow('at once')
    expect(place.free).toBe(0)
  })

  test('ends with the attempt: a wait that it left behind, or begins later, frees nothing', async () => {
    const place = counted()
    const lending = new Lending(place)
    const left = gate()
    const wait = lending.lend(() => left.opened)
    lending.end()
    lending.end()
    expect(place.free).toBe(0)
    const later = gate()
    const late = lending.lend(() => later.opened)
    expect(place.free).toBe(0)
    left.open()
    later.open()
    await Promise.all([wait, late])
    expect(place.free).toBe(0)
  })

  test('whatever is waited for and whenever it ends, a place is never freed twice nor kept', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(5), { maxLength: 30 }), async (steps) => {
        const place = counted()
        const lending = new Lending(place)
        const open: (() => void)[] = []
        let ended = false
        for (const step of steps) {
          if (step <= 2) {
            const waiting = gate()
            open.push(waiting.open)
            void lending.lend(() => waiting.opened)
          } else if (step <= 4) open.shift()?.()
          else {
            lending.end()
            ended = true
          }
          for (let microtask = 0; microtask < 10; microtask++) await Promise.resolve()
          expect(place.free).toBe(!ended && open.length > 0 ? 1 : 0)
        }
        for (const end of open) end()
        await turns(1)
        expect(place.free).toBe(0)
      }),
      { numRuns: 100 },
    )
  })

  test('past the limit if need be: who comes back does not wait, and the bound is what it was afterwards', async () => {
    const { limiter, begun, running, most } = line(1)
    limiter.add(0, 0)
    await turns()
    const lending = new Lending(limiter)
    const child = gate()
    const wait = lending.lend(() => child.opened)
    limiter.add(1, 0)
    limiter.add(2, 0)
    await turns()
    expect(begun).toEqual([0, 1])
    child.open()
    await wait
    // Both run, as they must: 0 goes on, and 1 was begun in its place. Nothing else begins until one is left.
    running.get(1)?.()
    await turns()
    expect(begun).toEqual([0, 1])
    lending.end()
    running.get(0)?.()
    await turns()
    expect(begun).toEqual([0, 1, 2])
    expect(most()).toBe(2)
  })
})

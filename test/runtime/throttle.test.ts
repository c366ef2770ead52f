import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Throttle } from '../../src/runtime/throttle.ts'
import { FakeClock } from '../setup/fake-clock.ts'

function throttled(ms = 250) {
  const clock = new FakeClock()
  const passed: { readonly at: number; readonly value: number }[] = []
  const throttle = new Throttle<number>(clock, ms, (value) => passed.push({ at: clock.monotonic(), value }))
  return { clock, passed, throttle }
}

test('the first passes at once, the latest when the time has come, and then all is quiet', async () => {
  const { clock, passed, throttle } = throttled()
  for (const value of [1, 2, 3]) throttle.push(value)
  expect(passed).toEqual([{ at: 0, value: 1 }])
  await clock.advance(249)
  throttle.push(4)
  expect(passed).toHaveLength(1)
  await clock.advance(1)
  expect(passed.at(-1)).toEqual({ at: 250, value: 4 })
  await clock.advance(10_000)
  expect(passed).toHaveLength(2)
  expect(clock.armed).toBe(0)
  throttle.push(5)
  expect(passed.at(-1)).toEqual({ at: 10_250, value: 5 })
})

test('flush passes on what waits, and leaves neither timer nor value behind', () => {
  const { clock, passed, throttle } = throttled()
  throttle.push(1)
  throttle.push(2)
  throttle.flush()
  throttle.flush()
  expect(passed.map(({ value }) => value)).toEqual([1, 2])
  expect(clock.armed).toBe(0)
})

test('whatever is pushed whenever, none comes sooner than the time after the one before, and the last is never lost', async () => {
  const pushes = fc.array(
    fc.record({ wait: fc.integer({ min: 0, max: 400 }), count: fc.integer({ min: 0, max: 3 }) }),
    { minLength: 1, maxLength: 25 },
  )
  await fc.assert(
    fc.asyncProperty(pushes, fc.boolean(), async (steps, flushed) => {
      const { clock, passed, throttle } = throttled()
      let last = 0
      for (const { wait, count } of steps) {
        for (let n = 0; n < count; n++) throttle.push(++last)
        await clock.advance(wait)
      }
      const until = passed.length
      if (flushed) throttle.flush()
      else await clock.advance(250)
      const values = passed.map(({ value }) => value)
      expect(values).toEqual([...new Set(values)].toSorted((a, b) => a - b))
      if (last > 0) expect(values.at(-1)).toBe(last)
      for (const [n, { at }] of passed.slice(0, until).entries())
        if (n > 0) expect(at - passed[n - 1]!.at).toBeGreaterThanOrEqual(250)
      if (!flushed) await clock.advance(250)
      expect(clock.armed).toBe(0)
    }),
    { numRuns: 40 },
  )
})

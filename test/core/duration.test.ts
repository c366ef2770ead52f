import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { milliseconds } from '../../src/core/duration.ts'

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

test.each([
  [0, 0],
  [1, 1],
  [0.2, 1],
  [1_500.5, 1_501],
  ['0ms', 0],
  ['250ms', 250],
  ['30s', 30_000],
  ['1.5h', 5_400_000],
  ['0.5ms', 1],
  ['007s', 7_000],
  ['36500d', 36_500 * 86_400_000],
])('%o is %i ms', (duration, ms) => {
  expect(milliseconds(duration, 'delay')).toBe(ms)
})

test('a number with a unit is that many of it', () => {
  fc.assert(
    fc.property(fc.nat(30_000), fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])), (n, unit) => {
      expect(milliseconds(`${n}${unit}`, 'delay')).toBe(n * units[unit])
      // A half, too: rounded up to a whole millisecond.
      expect(milliseconds(`${n}.5${unit}`, 'delay')).toBe(Math.ceil((n + 0.5) * units[unit]))
    }),
  )
})

describe('what is no duration is refused, with what was expected and what was given:', () => {
  test.each([
    [-1, '-1 (number)'],
    [-0.1, '-0.1 (number)'],
    [Number.NaN, 'NaN (number)'],
    [Number.POSITIVE_INFINITY, 'Infinity (number)'],
    [8.64e15 + 1, '(number)'],
    ['5', '5 (string)'],
    ['', ' (string)'],
    ['s', 's (string)'],
    ['-5s', '-5s (string)'],
    ['+5s', '+5s (string)'],
    ['5 s', '5 s (string)'],
    [' 5s', ' 5s (string)'],
    ['5s\n', '(string)'],
    ['1e3s', '1e3s (string)'],
    ['.5s', '.5s (string)'],
    ['5.s', '5.s (string)'],
    ['5S', '5S (string)'],
    ['5w', '5w (string)'],
    ['5sec', '5sec (string)'],
    ['٥s', '(string)'],
    [`${'9'.repeat(400)}d`, '(string)'],
    ['99999999999d', '(string)'],
    [5n, '5 (bigint)'],
    [null, 'null'],
    [undefined, 'undefined'],
    [true, 'true (boolean)'],
    [new Date(0), 'an object (Date)'],
    [['5s'], 'an array of 1'],
    [{ valueOf: () => 5 }, 'an object (Object)'],
    [() => 5, 'a function'],
  ])('%o', (value, given) => {
    let message = ''
    try {
      milliseconds(value, 'start.options.delay')
    } catch (error) {
      expect(error).toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
      ;({ message } = error as Error)
    }
    expect(message).toMatch(/^`start\.options\.delay` must be a duration: .*'30s'/)
    expect(message).toContain(given)
    expect(message.length).toBeLessThan(250)
  })

  test('and nothing takes long to be refused', () => {
    expect(() => milliseconds(`${'1'.repeat(1_000_000)}x`, 'delay')).toThrow('`delay` must be')
  })
})

test('the longest that is taken is a moment that a Date can tell, whenever it begins', () => {
  let longest = 1
  for (let step = 2 ** 53; step >= 1; step /= 2)
    try {
      longest = milliseconds(longest + step, 'delay')
    } catch {
      // too long
    }
  expect(longest).toBeGreaterThan(36_500 * 86_400_000)
  expect(new Date(Date.UTC(2200, 0, 1) + longest).getTime()).not.toBeNaN()
})

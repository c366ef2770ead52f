import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CanceledError, FencedError, OffstageError, ShutdownError, TimeoutError } from 'offstage'
import { classify, type Trial } from '../../src/core/outcome.ts'
import { fateOf, POISONED_AT } from '../../src/core/rescue.ts'
import { parseRetry, retryAfter } from '../../src/core/retry.ts'

const policy = (options?: unknown) => parseRetry(options, 'retry', 3)
const trial = (more: Partial<Trial> = {}): Trial => ({
  retry: policy({ attempts: 3, initial: 100, jitter: false }),
  onCrash: 'retry',
  maxAttempts: 3,
  tries: 1,
  chance: 0.5,
  ...more,
})

const thrown = new Error('of the code')
const crash = new OffstageError('OFFSTAGE_CRASHED', 'The thread died.')
const signals = {
  nothing: undefined,
  cancel: new CanceledError('enough'),
  timeout: new TimeoutError('too long'),
  shutdown: new ShutdownError(),
  fenced: new FencedError('run#1'),
} as const

describe('code that returned has done its work, whatever its signal said', () => {
  test.each(Object.entries(signals))('%s', (_, aborted) => {
    for (const tries of [1, 3])
      expect(classify({ returned: 5 }, aborted, trial({ tries }))).toEqual({
        outcome: { kind: 'succeeded', result: 5 },
        thrown: undefined,
      })
    expect(classify({ returned: undefined }, aborted, trial())).toEqual({
      outcome: { kind: 'succeeded', result: undefined },
      thrown: undefined,
    })
  })
})

// signal × thrown × tries left × onCrash: the whole of it
const left = (reason: string) => ({ kind: 'retry', reason, after: 100 })
const spent = (reason: string) => ({ kind: 'failed', reason })
describe.each([
  ['with tries left', 1],
  ['at the last try', 3],
  ['past the last try', 4],
])('code that threw, %s,', (_, tries) => {
  const again = (reason: string) => (tries < 3 ? left(reason) : spent(reason))

  test.each(['retry', 'fail'] as const)(
    'and nothing else was said (onCrash: %s): is tried again while tries are left',
    (onCrash) => {
      const verdict = classify({ threw: thrown }, undefined, trial({ tries, onCrash }))
      expect(verdict.outcome).toMatchObject({ ...again('error'), error: { name: 'Error', message: 'of the code' } })
      expect(verdict.thrown).toBe(thrown)
    },
  )

  test.each(['retry', 'fail'] as const)('because its thread died (onCrash: %s)', (onCrash) => {
    const { outcome } = classify({ threw: crash }, undefined, trial({ tries, onCrash }))
    expect(outcome).toMatchObject({
      ...(onCrash === 'fail' ? spent('crashed') : again('crashed')),
      error: { code: 'OFFSTAGE_CRASHED' },
    })
  })

  test.each([thrown, crash, undefined])('after it was canceled: is canceled, whatever it threw (%o)', (threw) => {
    const verdict = classify({ threw }, signals.cancel, trial({ tries, onCrash: 'fail' }))
    expect(verdict.outcome).toMatchObject({
      kind: 'canceled',
      error: { code: 'OFFSTAGE_CANCELED', message: 'The run was canceled: enough' },
    })
    expect(verdict.thrown).toBe(signals.cancel)
  })

  test.each([thrown, crash, undefined])('after its time was up: has timed out, whatever it threw (%o)', (threw) => {
    const verdict = classify({ threw }, signals.timeout, trial({ tries, onCrash: 'fail' }))
    expect(verdict.outcome).toMatchObject({ ...again('timeout'), error: { code: 'OFFSTAGE_TIMEOUT' } })
    expect(verdict.thrown).toBe(signals.timeout)
  })

  test.each([signals.shutdown, signals.fenced])('after %o: is given back, and judged by nobody', (aborted) => {
    for (const threw of [thrown, crash, aborted])
      expect(classify({ threw }, aborted, trial({ tries, onCrash: 'fail' })).outcome).toEqual({ kind: 'released' })
  })
})

describe('the policy', () => {
  test('is asked with the tries and what was thrown, and not at all where no tries are left', () => {
    const asked: unknown[][] = []
    const retry = policy({
      when: (...args: unknown[]) => (asked.push(args), true),
      backoff: (...args: unknown[]) => (asked.push(args), '2s'),
    })
    expect(classify({ threw: thrown }, undefined, trial({ retry, tries: 2 })).outcome).toMatchObject({
      kind: 'retry',
      after: 2_000,
    })
    expect(asked).toEqual([[thrown], [2, thrown]])
    classify({ threw: thrown }, undefined, trial({ retry, tries: 3 }))
    expect(asked).toHaveLength(2)
  })

  test('that says no ends it', () => {
    expect(
      classify({ threw: thrown }, undefined, trial({ retry: policy({ when: () => false }) })).outcome,
    ).toMatchObject({ kind: 'failed', reason: 'error', error: { message: 'of the code' } })
  })

  const broken = new Error('of the policy')
  const throws = (): never => {
    throw broken
  }
  test.each([
    ['whose `when` throws', { when: throws }, 'of the policy'],
    ['whose backoff throws', { backoff: throws }, 'of the policy'],
    ['whose backoff answers NaN', { backoff: () => Number.NaN }, 'retry.backoff'],
    ['whose backoff answers a negative wait', { backoff: () => -1 }, 'retry.backoff'],
    ['whose backoff answers nothing', { backoff: () => undefined }, 'retry.backoff'],
    ['whose backoff answers a promise', { backoff: async () => 5 }, 'retry.backoff'],
    [
      'that throws what cannot be read',
      {
        when: () => {
          throw Object.create(null)
        },
      },
      '',
    ],
  ])('%s leaves the run failed: both it and what the code threw can be read', (_, options, words) => {
    const { outcome, thrown: told } = classify({ threw: thrown }, undefined, trial({ retry: policy(options) }))
    expect(outcome).toMatchObject({
      kind: 'failed',
      reason: 'error',
      error: { message: expect.stringContaining(words) as string, cause: { message: 'of the code' } },
    })
    expect(told).toMatchObject({ cause: thrown })
  })
})

describe('the wait before the next try', () => {
  const wait = (options: object, tries: number, chance = 0) =>
    retryAfter({ retry: policy({ attempts: 1_000_000, ...options }), maxAttempts: 1_000_000, tries, chance }, thrown)

  test('doubles from the first, up to the most', () => {
    expect([1, 2, 3, 4, 5].map((tries) => wait({ initial: '1s', max: '10s', jitter: false }, tries))).toEqual([
      1_000, 2_000, 4_000, 8_000, 10_000,
    ])
    expect(wait({ jitter: false }, 1)).toBe(1_000)
    expect(wait({ jitter: false }, 100)).toBe(3_600_000)
    expect(wait({ jitter: false, max: '36500d' }, 999_999)).toBe(36_500 * 86_400_000)
  })

  test('stays what it is where it is fixed', () => {
    expect([1, 2, 50].map((tries) => wait({ backoff: 'fixed', initial: '7s', jitter: false }, tries))).toEqual([
      7_000, 7_000, 7_000,
    ])
    expect(wait({ backoff: 'fixed', initial: '2h', jitter: false }, 1)).toBe(3_600_000)
  })

  test('with jitter is between its half and its whole, whole milliseconds, and spreads over all of that', () => {
    const options = fc.record({
      initial: fc.nat(100_000),
      max: fc.nat(1_000_000),
      backoff: fc.constantFrom('fixed', 'exponential'),
    })
    fc.assert(
      fc.property(
        options,
        fc.integer({ min: 1, max: 80 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (given, tries, chance) => {
          const whole = wait({ ...given, jitter: false }, tries)!
          const jittered = wait(given, tries, chance)!
          expect(Number.isInteger(jittered)).toBe(true)
          expect(jittered).toBeGreaterThanOrEqual(whole / 2)
          expect(jittered).toBeLessThanOrEqual(whole)
        },
      ),
    )
    expect(wait({ initial: 1_000 }, 1, 0)).toBe(500)
    expect(wait({ initial: 1_000 }, 1, 0.999)).toBe(1_000)
  })

  test('is none where the tries are spent, counted with this one', () => {
    for (const maxAttempts of [1, 2, 10])
      for (const tries of [1, 2, 9, 10, 11]) {
        const after = retryAfter({ retry: policy({ jitter: false }), maxAttempts, tries, chance: 0 }, thrown)
        expect(after === null).toBe(tries >= maxAttempts)
      }
  })
})

describe('what becomes of a run whose holder died', () => {
  const orphans = [0, 1, 2, 3, 4].flatMap((crashes) =>
    [true, false].flatMap((cancelRequested) =>
      (['retry', 'fail'] as const).flatMap((onCrash) =>
        [1, 3, 4].map((tries) => ({ crashes, cancelRequested, onCrash, tries, maxAttempts: 3 })),
      ),
    ),
  )
  test.each(orphans)('%o', (orphan) => {
    const { crashes, cancelRequested, onCrash, tries, maxAttempts } = orphan
    const fate = fateOf(orphan)
    // Poison before cancel, cancel before crash, and only what is none of them goes on.
    if (crashes >= POISONED_AT) expect(fate).toEqual({ verb: 'fail', reason: 'poisoned' })
    else if (cancelRequested) expect(fate).toEqual({ verb: 'cancel', reason: 'canceled' })
    else if (onCrash === 'fail' || tries >= maxAttempts) expect(fate).toEqual({ verb: 'fail', reason: 'crashed' })
    else expect(fate).toEqual({ verb: 'rescue', reason: null })
  })
})

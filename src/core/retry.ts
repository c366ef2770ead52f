import { milliseconds, type Duration } from './duration.ts'
import { boolean, callable, isFunction, oneOf, optional, shape, whole, type Parser } from './options.ts'

/** What a task says of retries. `attempts` counts the first; a number alone is `attempts`. */
export type RetryOptions =
  | number
  | {
      readonly attempts?: number
      /** A function gets the tries so far and the error, and answers how long to wait. */
      readonly backoff?: 'exponential' | 'fixed' | ((tries: number, error: unknown) => Duration)
      readonly initial?: Duration
      readonly max?: Duration
      readonly jitter?: boolean
      /** Whether this error is worth another try. */
      readonly when?: (error: unknown) => boolean
    }

export interface RetryPolicy {
  readonly attempts: number
  readonly backoff: 'exponential' | 'fixed' | ((tries: number, error: unknown) => Duration)
  readonly initial: number
  readonly max: number
  readonly jitter: boolean
  readonly when: (error: unknown) => boolean
}

const SECOND = 1_000
const HOUR = 3_600_000

const always = (): boolean => true
const backoff: Parser<RetryPolicy['backoff']> = (value, at) =>
  isFunction(value) ? (value as (tries: number, error: unknown) => Duration) : oneOf('exponential', 'fixed')(value, at) // its answer is checked when it is asked
const when: Parser<RetryPolicy['when']> = (value, at) => callable(value, at) as (error: unknown) => boolean // a function's type cannot be checked

export function parseRetry(value: unknown, at: string, attempts: number): RetryPolicy {
  const object = value === undefined || typeof value === 'number' ? { attempts: value ?? attempts } : value
  return shape({
    attempts: optional(whole(1, 1_000_000), attempts),
    backoff: optional(backoff, 'exponential'),
    initial: optional(milliseconds, SECOND),
    max: optional(milliseconds, HOUR),
    jitter: optional(boolean, true),
    when: optional(when, always),
  })(object, at)
}

/** What the moment of the next try depends on. */
export interface RetryTrial {
  readonly retry: RetryPolicy
  readonly maxAttempts: number
  /** This attempt included. */
  readonly tries: number
  /** Drawn for this verdict: 0–1. */
  readonly chance: number
}

/**
 * Milliseconds until the next try, or null: never. Jitter takes the wait to between its half and its whole
 * ("equal jitter", https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so that runs that failed together do not return together.
 */
export function retryAfter({ retry: policy, maxAttempts, tries, chance }: RetryTrial, error: unknown): number | null {
  if (tries >= maxAttempts || !policy.when(error)) return null
  if (typeof policy.backoff === 'function') return milliseconds(policy.backoff(tries, error), 'retry.backoff(…)')
  const grown = policy.backoff === 'fixed' ? policy.initial : policy.initial * 2 ** Math.min(tries - 1, 62)
  const wait = Math.min(grown, policy.max)
  return Math.ceil(policy.jitter ? wait * (0.5 + chance / 2) : wait)
}

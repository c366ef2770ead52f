import { CanceledError, FencedError, OffstageError, ShutdownError, TimeoutError } from './errors.ts'
import { toFailure } from './failure.ts'
import { retryAfter, type RetryPolicy } from './retry.ts'
import type { Reason, RunError } from './run.ts'
import { safely } from './thrown.ts'

/** What an attempt came to. `R` is how a result is kept: as it is in memory, as JSON text in a store. */
export type Outcome<R = unknown> =
  | { readonly kind: 'succeeded'; readonly result: R }
  | { readonly kind: 'failed'; readonly reason: Reason; readonly error: RunError }
  | { readonly kind: 'retry'; readonly after: number; readonly reason: Reason; readonly error: RunError }
  | { readonly kind: 'released' }
  | { readonly kind: 'canceled'; readonly error: RunError }

export const succeeded = <R>(result: R): Outcome<R> => ({ kind: 'succeeded', result })
export const failed = (reason: Reason, error: RunError): Outcome<never> => ({ kind: 'failed', reason, error })
export const retryIn = (after: number, reason: Reason, error: RunError): Outcome<never> => ({
  kind: 'retry',
  after,
  reason,
  error,
})
export const released: Outcome<never> = { kind: 'released' }
export const canceled = (error: RunError): Outcome<never> => ({ kind: 'canceled', error })

/** The outcome, and what was thrown as it was: for those in this process who wait for it. */
export interface Verdict<R = unknown> {
  readonly outcome: Outcome<R>
  readonly thrown: unknown
}

/** How the call of a task's code ended. */
export type CallEnd<R> = { readonly returned: R } | { readonly threw: unknown }

export interface Trial {
  readonly retry: RetryPolicy
  readonly onCrash: 'retry' | 'fail'
  readonly maxAttempts: number
  /** This attempt included. */
  readonly tries: number
}

/**
 * The verdict on an attempt. What its signal said before the code threw goes before what the code threw: an attempt that was canceled
 * is canceled whatever its code made of it. Code that returned has done its work, signal or not.
 */
export function classify<R>(end: CallEnd<R>, aborted: unknown, trial: Trial, fraction: number): Verdict<R> {
  if ('returned' in end) return { outcome: succeeded(end.returned), thrown: undefined }
  const thrown = aborted instanceof CanceledError || aborted instanceof TimeoutError ? aborted : end.threw
  return { outcome: judged(thrown, aborted, trial, fraction), thrown }
}

function judged(thrown: unknown, aborted: unknown, trial: Trial, fraction: number): Outcome<never> {
  if (aborted instanceof CanceledError) return canceled(toFailure(aborted))
  if (aborted instanceof ShutdownError || aborted instanceof FencedError) return released
  if (aborted instanceof TimeoutError) return again('timeout', thrown, trial, fraction)
  const crashed = safely(() => thrown instanceof OffstageError && thrown.code === 'OFFSTAGE_CRASHED') === true
  if (crashed && trial.onCrash === 'fail') return failed('crashed', toFailure(thrown))
  return again(crashed ? 'crashed' : 'error', thrown, trial, fraction)
}

function again(reason: Reason, error: unknown, trial: Trial, fraction: number): Outcome<never> {
  try {
    const after = retryAfter(trial.retry, trial.maxAttempts, trial.tries, error, fraction)
    return after === null ? failed(reason, toFailure(error)) : retryIn(after, reason, toFailure(error))
  } catch (broken) {
    // A policy that throws must not leave the run without an end.
    return failed('error', toFailure(broken))
  }
}

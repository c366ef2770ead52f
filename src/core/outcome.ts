import { CanceledError, FencedError, OffstageError, ShutdownError, TimeoutError } from './errors.ts'
import { toFailure } from './failure.ts'
import { retryAfter, type RetryTrial } from './retry.ts'
import type { RunVerb } from './run-state.ts'
import type { Reason, RunError } from './run.ts'
import { messageOf, safely } from './thrown.ts'

/** What an attempt came to. `R` is how a result is kept: as it is in memory, as JSON text in a store. */
export type Outcome<R = unknown> =
  | { readonly kind: 'succeeded'; readonly result: R }
  | { readonly kind: 'failed'; readonly reason: Reason; readonly error: RunError }
  | { readonly kind: 'retry'; readonly after: number; readonly reason: Reason; readonly error: RunError }
  | Parking
  | { readonly kind: 'released' }
  | { readonly kind: 'canceled'; readonly error: RunError }

/**
 * The run waits: for a moment, or for a signal that makes it due sooner. The moment is the store's (`after` from its now), is recorded as the
 * result of the step `name`, and stays what it was where that step was recorded before.
 */
export interface Parking {
  readonly kind: 'parked'
  readonly name: string
  /** Milliseconds from the store's now, a moment since the epoch, or null: until the signal comes. */
  readonly after: number | null
  readonly at: number | null
  readonly signal: Awaited | null
}
/** The n-th signal of a name that the run waits for. */
export interface Awaited {
  readonly name: string
  readonly nth: number
}

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

/** What the state machine calls it. */
export const verbOf = ({ kind }: Outcome): RunVerb => VERB_OF[kind]

const VERB_OF = {
  succeeded: 'succeed',
  failed: 'fail',
  retry: 'retry',
  parked: 'park',
  released: 'release',
  canceled: 'cancel',
} as const

/** The outcome, and what was thrown as it was: for those in this process who wait for it. */
export interface Verdict<R = unknown> {
  readonly outcome: Outcome<R>
  readonly thrown: unknown
}

/** How the call of a task's code ended. */
export type CallEnd<R> = { readonly returned: R } | { readonly threw: unknown } | { readonly parked: Parking }

export interface Trial extends RetryTrial {
  readonly onCrash: 'retry' | 'fail'
}

/**
 * The verdict on an attempt. What its signal said before the code threw goes before what the code threw: an attempt that was canceled
 * is canceled whatever its code made of it. Code that returned, or waits, has done its work, signal or not.
 */
export function classify<R>(end: CallEnd<R>, aborted: unknown, trial: Trial): Verdict<R> {
  if ('returned' in end) return { outcome: succeeded(end.returned), thrown: undefined }
  if ('parked' in end) return { outcome: end.parked, thrown: undefined }
  if (aborted instanceof CanceledError) return { outcome: canceled(toFailure(aborted)), thrown: aborted }
  if (aborted instanceof ShutdownError || aborted instanceof FencedError)
    return { outcome: released, thrown: end.threw }
  if (aborted instanceof TimeoutError) return again('timeout', aborted, trial)
  const crashed = safely(() => end.threw instanceof OffstageError && end.threw.code === 'OFFSTAGE_CRASHED') === true
  if (crashed && trial.onCrash === 'fail') return failure('crashed', end.threw)
  return again(crashed ? 'crashed' : 'error', end.threw, trial)
}

const failure = (reason: Reason, thrown: unknown): Verdict<never> => ({
  outcome: failed(reason, toFailure(thrown)),
  thrown,
})

function again(reason: Reason, thrown: unknown, trial: RetryTrial): Verdict<never> {
  try {
    const after = retryAfter(trial, thrown)
    return after === null ? failure(reason, thrown) : { outcome: retryIn(after, reason, toFailure(thrown)), thrown }
  } catch (broken) {
    // A policy that throws must not leave the run without an end.
    const words = `The task's retry policy threw: ${messageOf(broken)}`
    return failure('error', new OffstageError('OFFSTAGE_BAD_OPTION', words, { cause: thrown }))
  }
}

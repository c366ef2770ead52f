import { CanceledError, OffstageError, TimeoutError } from './errors.ts'
import { toFailure } from './failure.ts'
import type { Reason, RunError } from './run.ts'
import type { RunVerb } from './run-state.ts'

/** That many deaths in a row, and the run is taken for their cause. */
export const POISONED_AT = 3
/** One death fewer: an instance performs one such run at a time, so that no run is poisoned by its neighbour. */
export const SUSPECT_AT: number = POISONED_AT - 1
/** A running run whose cancel was requested that long ago is canceled, whatever its holder does. */
export const FORCED_CANCEL_AFTER = 10_000
/** What a store's deadline adds to the timeout, so that the holder's own comes first. */
export const DEADLINE_GRACE = 1_000

/** What the decision needs of a run whose holder died; `crashes` counts this death. */
export interface Orphan {
  readonly crashes: number
  readonly cancelRequested: boolean
  readonly onCrash: 'retry' | 'fail'
  readonly tries: number
  readonly maxAttempts: number
}
/** What becomes of a running run that passed its deadline: the same decision as at a failure, made by whoever finds it. */
export function fateAtDeadline({
  cancelRequested,
  tries,
  maxAttempts,
}: Omit<Orphan, 'crashes' | 'onCrash'>): OverdueFate {
  if (cancelRequested) return { verb: 'cancel', reason: 'canceled' }
  return tries >= maxAttempts ? { verb: 'fail', reason: 'timeout' } : { verb: 'retry', reason: null }
}
export interface OverdueFate {
  readonly verb: Extract<RunVerb, 'fail' | 'cancel' | 'retry'>
  readonly reason: Reason | null
}
export interface Fate {
  readonly verb: Extract<RunVerb, 'fail' | 'cancel' | 'rescue'>
  readonly reason: Reason | null
}

/** What becomes of a run whose holder died. Stores restate it in SQL, and their contract tries every combination. */
export function fateOf(orphan: Orphan): Fate {
  if (orphan.crashes >= POISONED_AT) return { verb: 'fail', reason: 'poisoned' }
  if (orphan.cancelRequested) return { verb: 'cancel', reason: 'canceled' }
  if (orphan.onCrash === 'fail' || orphan.tries >= orphan.maxAttempts) return { verb: 'fail', reason: 'crashed' }
  return { verb: 'rescue', reason: null }
}

/** Made by a store, where no code threw: a stack would show the store. */
const sentence = (error: Error): RunError => {
  const { stack: _, ...record } = toFailure(error)
  return record
}

export const canceledFailure = (reason: string | null): RunError => sentence(new CanceledError(reason ?? undefined))
export const crashedFailure: RunError = sentence(
  new OffstageError('OFFSTAGE_CRASHED', 'The process that performed the run died.'),
)
export const poisonedFailure: RunError = sentence(
  new OffstageError('OFFSTAGE_POISONED', 'Three processes in a row died while performing the run.'),
)
export const timedOutFailure: RunError = sentence(
  new TimeoutError('The attempt passed its deadline, and its instance had not ended it: stopped, cut off or blocked.'),
)

import type { InstanceId, RunId } from '../core/claim.ts'
import type { LogLine, ProgressRecord, Reason, RunError } from '../core/run.ts'
import type { State } from '../core/run-state.ts'

/** What a start asks the store to keep. Payloads are JSON text; null is no payload. */
export interface NewRun {
  readonly id: RunId
  readonly task: string
  readonly version: number
  readonly thread: boolean
  readonly queue: string
  readonly priority: number
  readonly input: string | null
  /** Due that many milliseconds from the store's now … */
  readonly delay: number
  /** … or at that moment (since the epoch), where it is not null. */
  readonly at: number | null
  readonly maxAttempts: number
  /** Of one attempt; the store's deadline is this and a second more, so that the holder's own timeout comes first. */
  readonly timeout: number | null
  readonly onCrash: 'retry' | 'fail'
  readonly owner: string | null
  readonly tags: readonly string[]
  readonly parent: RunId | null
  readonly idempotency: Idempotency | null
}

/** A start that may come twice: of the same owner and task it is one run, for 24 hours. */
export interface Idempotency {
  readonly key: string
  /** Of the input as it was sent: the same key with another one is a mistake. */
  readonly fingerprint: string
}

/** A run as stores keep it. Moments are milliseconds since the epoch, by the store's clock. */
export interface RunRecord extends Omit<NewRun, 'input' | 'delay' | 'at' | 'idempotency'> {
  readonly state: State
  /** The fencing number: only grows. */
  readonly attempt: number
  readonly tries: number
  /** In a row; 0 again when an attempt records an end of its own. */
  readonly crashes: number
  readonly reason: Reason | null
  readonly createdAt: number
  /** While it waits for a signal without a bound in time: `FOREVER`. */
  readonly dueAt: number
  /** The signal that a parked run waits for. */
  readonly waitingFor: string | null
  readonly startedAt: number | null
  readonly finishedAt: number | null
  readonly progress: ProgressRecord | null
  readonly result: string | null
  readonly error: RunError | null
  readonly cancelRequested: boolean
  /** Who performs it; null while nobody does. */
  readonly instance: InstanceId | null
  /** Number of its last event. */
  readonly number: number
  /** Events up to this number are no longer kept. */
  readonly trimmed: number
}
export interface ClaimedRun extends RunRecord {
  readonly input: string | null
}

export interface StepRecord {
  readonly name: string
  readonly result: string | null
}
/** Progress or a piece of output, to be numbered by the store; or a line that the code logged, which takes no number. */
export type Note =
  | { readonly type: 'progress'; readonly data: ProgressRecord }
  | { readonly type: 'output'; readonly data: string }
  | { readonly type: 'log'; readonly data: LogLine }

/** A statement of `ctx.tx`: it writes, and commits with the run's end. */
export interface TxStatement {
  readonly text: string
  readonly values: readonly TxValue[]
}
export type TxValue = string | number | bigint | null | Uint8Array

/** An attempt that did not end its run: it failed and was tried again, was parked, given back, or lost its instance; or one that had ended it before a rerun. */
export interface AttemptRecord {
  readonly attempt: number
  readonly came: 'retry' | 'parked' | 'released' | 'rescued' | 'failed' | 'canceled'
  /** null: no longer known. */
  readonly instance: InstanceId | null
  readonly startedAt: number
  readonly endedAt: number
  readonly error: RunError | null
}
export interface LogRecord extends LogLine {
  readonly attempt: number
}
export interface DetailsRecord {
  readonly record: RunRecord
  readonly input: string | null
  /** Past attempts, the latest 100, in order; how the last one ended says the record. */
  readonly attempts: readonly AttemptRecord[]
  readonly steps: readonly StepRecord[]
  /** The latest 200 of each attempt that is kept, in order. */
  readonly logs: readonly LogRecord[]
}

/** What waits and is performed by no living instance. */
export interface Unperformed {
  readonly task: string
  readonly version: number
  /** Since when the oldest of them is due. */
  readonly since: number
}

import type { Duration } from './duration.ts'
import type { RunEvent } from './run-events.ts'
import type { Run } from './run.ts'

/** Where there is no input, `start(task)` is enough. */
export type StartArgs<I> = undefined extends I
  ? [input?: I, options?: StartOptions]
  : [input: I, options?: StartOptions]

export interface StartOptions {
  /** Not before that long from now. */
  readonly delay?: Duration
  /** Not before that moment. */
  readonly at?: Date
  /** Instead of the task's. */
  readonly priority?: number
  /** Instead of the task's. */
  readonly queue?: string
  /** Who may read the run over HTTP. */
  readonly owner?: string
  readonly tags?: readonly string[]
  /**
   * 1–255 visible characters. A start of the same owner and task with the same key within 24 hours is the same run (`existing`); with
   * another input it is refused with OFFSTAGE_IDEMPOTENCY_MISMATCH. In memory: within this process, while the run is remembered.
   */
  readonly idempotencyKey?: string
  /** The caller's own transaction: the run is there when it commits. SQLite: a `node:sqlite` connection on the store's file, see `startSync`. */
  readonly tx?: Transaction
  /** Aborted before the answer, nothing is started; aborted later, the run is canceled. */
  readonly signal?: AbortSignal
}

/** A connection that is within a transaction; what is recognised says the store. */
export type Transaction = object

export type Cancellation = 'canceled' | 'canceling' | 'finished'

/** A run, as its starter holds it. */
export interface RunHandle<out O> {
  /** UUIDv7. */
  readonly id: string
  readonly task: string
  /** What `start` did. */
  readonly disposition: 'created' | 'existing' | 'replaced'
  /** Rejects with OFFSTAGE_RUN_NOT_FOUND where the run is no longer kept. */
  status(): Promise<Run<O>>
  /** What the run came to. Rejects with RunFailedError, CanceledError or ShutdownError; with TimeoutError where this wait ended (the run goes on). */
  result(options?: { timeout?: Duration; signal?: AbortSignal }): Promise<O>
  /** `canceled`: it is canceled, now or before. `canceling`: its code was asked to stop. `finished`: it had ended otherwise. */
  cancel(reason?: string): Promise<Cancellation>
  /** A snapshot first, then every kept event after number `after`, then live ones, until the run's end. */
  events(options?: { after?: number; signal?: AbortSignal }): AsyncIterable<RunEvent<O>>
}

import type { RunId } from './claim.ts'
import type { Duration } from './duration.ts'
import type { Reason, Run, RunSnapshot } from './run.ts'
import type { RunEvent } from './run-events.ts'
import type { TaskPolicy } from './task.ts'

/** Where there is no input, `start(task)` is enough. */
export type StartArgs<I> = undefined extends I ? [input?: I, options?: StartOptions] : [input: I, options?: StartOptions]

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
  /** Aborted before the answer, nothing is started; aborted later, the run is canceled. */
  readonly signal?: AbortSignal
}

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
  /** `canceled`: it ended by this. `canceling`: its code was asked to stop. `finished`: it had ended before. */
  cancel(reason?: string): Promise<Cancellation>
  /** A snapshot first, then every kept event after number `after`, then live ones, until the run's end. */
  events(options?: { after?: number; signal?: AbortSignal }): AsyncIterable<RunEvent<O>>
}

/** How a run ended. `error` is what was thrown, as it was or revived from the store. */
export type RunEnd =
  | { readonly state: 'succeeded'; readonly result: unknown }
  | { readonly state: 'failed'; readonly reason: Reason; readonly error: unknown }
  | { readonly state: 'canceled'; readonly error: unknown }

/** SEAM. What the outside (user code, HTTP) may ask of whatever keeps runs. */
export interface Runs {
  get(id: RunId): Promise<RunSnapshot | undefined>
  /** undefined: no such run here. */
  cancel(id: RunId, reason?: string): Promise<Cancellation | undefined>
  /** Settles when the run has ended; undefined: no such run here. Rejects with the signal's reason. */
  ended(id: RunId, signal?: AbortSignal): Promise<RunEnd | undefined>
  /** Ends after `done`, at once where there is no such run, and when the signal fires. */
  watch(id: RunId, options?: { readonly after?: number; readonly signal?: AbortSignal }): AsyncIterable<RunEvent>
}

export interface StartRequest {
  readonly task: TaskPolicy
  /** As the schema answered, or as given. */
  readonly input: unknown
  readonly options: ParsedStartOptions
  readonly parent: RunId | null
}
export interface ParsedStartOptions {
  readonly delay: number
  /** Milliseconds since the epoch; null: no moment was named. */
  readonly at: number | null
  readonly priority: number
  readonly queue: string
  readonly owner: string | null
  readonly tags: readonly string[]
}
export interface Started {
  readonly id: RunId
  readonly disposition: 'created' | 'existing' | 'replaced'
}

/** SEAM. Begins runs: one answer each, in order. */
export interface Starter {
  start(requests: readonly StartRequest[]): Promise<readonly Started[]>
}

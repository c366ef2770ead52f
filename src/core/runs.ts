import type { RunId } from './claim.ts'
import type { Reason, Run, RunDetails, RunSnapshot } from './run.ts'
import type { RunEvent } from './run-events.ts'
import type { State } from './run-state.ts'
import type { Cancellation, Transaction } from './start.ts'
import type { TaskPolicy } from './task.ts'

/** How a run ended. `error` is what was thrown, as it was or revived from the store. */
export type RunEnd =
  | { readonly state: 'succeeded'; readonly result: unknown }
  | { readonly state: 'failed'; readonly reason: Reason; readonly error: unknown }
  | { readonly state: 'canceled'; readonly error: unknown }

/** Which runs: all that is said must hold. */
export interface RunFilter {
  readonly task?: string
  readonly state?: State
  readonly queue?: string
  readonly owner?: string
  readonly tag?: string
  readonly parent?: RunId
}
export interface ListOptions extends RunFilter {
  /** 1–1,000; default 50. */
  readonly limit?: number
  /** `nextCursor` of the page before. */
  readonly cursor?: string
}
export interface Page<T> {
  readonly runs: readonly T[]
  /** null: that was the last. */
  readonly nextCursor: string | null
}
/** How many runs are in which state. */
export interface Tally extends Readonly<Record<State, number>> {
  readonly total: number
}

/** SEAM. What the outside (user code, HTTP) may ask of whatever keeps runs. */
export interface Runs {
  get(id: RunId): Promise<RunSnapshot | undefined>
  /** undefined: no such run here. */
  cancel(id: RunId, reason?: string): Promise<Cancellation | undefined>
  /** Settles when the run has ended; undefined: no such run here. Rejects with the signal's reason. */
  ended(id: RunId, signal?: AbortSignal): Promise<RunEnd | undefined>
  /** Ends after `done`, at once where there is no such run, and when the signal fires. */
  watch(id: RunId, options?: { readonly after?: number; readonly signal?: AbortSignal }): AsyncIterable<RunEvent>
  details(id: RunId): Promise<RunDetails | undefined>
  /** Newest first, by id; `before`: those older than that id. */
  list(asked: {
    readonly filter: RunFilter
    readonly before: RunId | null
    readonly limit: number
  }): Promise<readonly Run[]>
  tally(filter: RunFilter): Promise<Readonly<Record<State, number>>>
  /** undefined: no such run here. Rejects where its state does not allow it. */
  rerun(id: RunId): Promise<Run | undefined>
  remove(id: RunId): Promise<boolean | undefined>
  signal(id: RunId, name: string, payload: unknown): Promise<true | undefined>
}

export interface StartRequest {
  readonly task: TaskPolicy
  /** As the schema answered, or as given. */
  readonly input: unknown
  /** Of the idempotency key: what was sent, as one text. */
  readonly fingerprint: string | null
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
  readonly idempotencyKey: string | null
  readonly tx: Transaction | undefined
}
export interface Started {
  readonly id: RunId
  readonly disposition: 'created' | 'existing' | 'replaced'
}

/** SEAM. Begins runs: one answer each, in order; where one of them is refused at the door, none is begun. */
export interface Starter {
  start(requests: readonly StartRequest[]): Promise<readonly Started[]>
}

import type { RunId } from './claim.ts'
import type { Reason, RunSnapshot } from './run.ts'
import type { RunEvent } from './run-events.ts'
import type { Cancellation } from './start.ts'
import type { TaskPolicy } from './task.ts'

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

/** SEAM. Begins runs: one answer each, in order; where one of them is refused at the door, none is begun. */
export interface Starter {
  start(requests: readonly StartRequest[]): Promise<readonly Started[]>
}

import type { Json } from './json.ts'
import type { ProgressRecord, Run } from './run.ts'

/**
 * What can be seen of a run, numbered from 1 for replay: the same names, numbers and data as the frames of the event stream.
 * `run` comes first as a snapshot, then at each change; `done` ends it; `reset` says that events up to `after` are no longer kept.
 */
export type RunEvent<O = unknown> = { readonly number: number } & (
  | { readonly type: 'run' | 'done'; readonly data: Run<O> }
  | { readonly type: 'progress'; readonly data: ProgressRecord }
  | { readonly type: 'output'; readonly data: Json }
  | { readonly type: 'reset'; readonly data: { readonly after: number } }
)

/** What is kept as a row: `run` and `done` events take a number too, but the run itself says what they said. */
export type StoredEvent = { readonly number: number } & (
  | { readonly type: 'progress'; readonly data: ProgressRecord }
  | { readonly type: 'output'; readonly data: Json }
)

/** Events kept of one run; older ones are let go, and a reader that missed them is told `reset`. */
export const KEPT_EVENTS = 1_000

/** Events in one answer: a reader holds no more of a run at once, however much it has told. */
export const EVENTS_PAGE = 64

/** Past attempts kept of one run; older ones are let go, with what they logged. */
export const KEPT_ATTEMPTS = 100

/** Lines kept of what one attempt logged. */
export const KEPT_LOGS = 200

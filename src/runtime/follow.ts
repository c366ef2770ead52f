import type { Run } from '../core/run.ts'
import { EVENTS_PAGE, type RunEvent, type StoredEvent } from '../core/run-events.ts'

/** A run as it is at one moment, with its kept events after the number that was asked for. */
export interface View {
  readonly run: Run
  /** Of its last event. */
  readonly number: number
  /** Events up to here are no longer kept. */
  readonly trimmed: number
  readonly firstOutput: number | null
  /** At most a page; a full one is not the last. */
  readonly events: readonly StoredEvent[]
}

export interface Source {
  /** undefined: there is no such run, or no longer. */
  read(after: number): View | undefined | Promise<View | undefined>
  /** Settles at the next change of the run, or whenever it is worth another look; the signal frees it. */
  change(signal: AbortSignal): Promise<unknown>
}

/**
 * A run's events: a snapshot at the position the reader is at, the kept events after it, live ones, then `done`. Every change is
 * listened for before the state is read, so nothing falls between the two.
 */
export async function* follow(
  source: Source,
  options: { readonly after?: number; readonly signal?: AbortSignal },
): AsyncGenerator<RunEvent, void, undefined> {
  const over = new AbortController()
  const signal = options.signal === undefined ? over.signal : AbortSignal.any([options.signal, over.signal])
  try {
    const first = await source.read(Number.MAX_SAFE_INTEGER)
    if (first === undefined) return
    let position = options.after ?? startOf(first)
    yield { number: position, type: 'run', data: first.run }
    let told = first.run
    while (!signal.aborted) {
      const changed = source.change(signal)
      const view = await source.read(position)
      if (view === undefined) return
      if (view.trimmed > position) yield* resetOf(view)
      yield* view.events
      const last = view.events.at(-1)
      if (last !== undefined && view.events.length >= EVENTS_PAGE) {
        position = last.number
        continue
      }
      yield* newsOf(view, told)
      position = Math.max(position, view.number)
      told = view.run
      if (view.run.done) return
      await changed
    }
  } finally {
    over.abort()
  }
}

/** Whoever names no position gets every output that is kept: a stream of output is useless from its middle. */
const startOf = (view: View): number => (view.firstOutput === null ? view.number : view.firstOutput - 1)

function* resetOf({ run, trimmed }: View): Generator<RunEvent, void, undefined> {
  yield { number: trimmed, type: 'reset', data: { after: trimmed } }
  yield { number: trimmed, type: 'run', data: run }
}

function* newsOf({ run, number }: View, told: Run): Generator<RunEvent, void, undefined> {
  if (run.done) yield { number, type: 'done', data: run }
  else if (differs(run, told)) yield { number, type: 'run', data: run }
}

const differs = (a: Run, b: Run): boolean =>
  a.state !== b.state || a.attempt !== b.attempt || a.cancelRequested !== b.cancelRequested

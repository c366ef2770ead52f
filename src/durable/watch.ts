import type { RunId } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import { ShutdownError } from '../core/errors.ts'
import type { RunEvent } from '../core/run-events.ts'
import type { RunEnd } from '../core/runs.ts'
import { follow, type View } from '../runtime/follow.ts'
import { timeoutIn } from '../runtime/timers.ts'
import type { Store } from '../stores/store.ts'
import { endOf, runOf } from './records.ts'

/** How often a run that another process may be changing is looked at. */
const LOOK_AGAIN = 500

/** A backlog of any length must not be remembered here: beyond that many, the store is asked. */
const EXPECTED = 10_000

type Wake = (end?: RunEnd) => void

/** Tells whoever waits for a run: from this instance's own writes at once, from others' by looking again. */
export class Watch {
  readonly #store: Store
  readonly #clock: Clock
  readonly #waiting = new Map<RunId, Set<Wake>>()
  /** Started here and not ended here yet: their end will most likely be told here, so waiting for it needs no look at the store first. */
  readonly #expected = new Set<RunId>()
  /** Who waits since before the last look, and who came after it: one timer serves all. */
  #earlier = new Set<Wake>()
  #later = new Set<Wake>()
  #timer: Disposable | undefined
  readonly #over = new AbortController()

  constructor(store: Store, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  started(run: RunId): void {
    if (this.#expected.size < EXPECTED) this.#expected.add(run)
  }

  /** This instance's own write changed the run; `end` where it ended by it. */
  changed(run: RunId, end?: RunEnd): void {
    if (end !== undefined) this.#expected.delete(run)
    const waiting = this.#waiting.get(run)
    if (waiting !== undefined) for (const wake of waiting) wake(end)
  }

  follow(
    run: RunId,
    options: { readonly after?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<RunEvent, void, undefined> {
    const read = async (after: number): Promise<View | undefined> => {
      const found = await this.#store.read({ kind: 'events', run, after })
      if (found === undefined) return undefined
      const { record, events, firstOutput } = found
      return { run: runOf(record), number: record.number, trimmed: record.trimmed, firstOutput, events }
    }
    const signal =
      options.signal === undefined ? this.#over.signal : AbortSignal.any([options.signal, this.#over.signal])
    return follow({ read, change: (freed) => this.#change(run, freed) }, { ...options, signal })
  }

  /** `held`: this instance performs the run, so that its end is told here and needs no look at the store. */
  async ended(run: RunId, held: () => boolean, signal?: AbortSignal): Promise<RunEnd | undefined> {
    for (let first = true; ; first = false) {
      signal?.throwIfAborted()
      if (this.#over.signal.aborted)
        throw new ShutdownError(
          `This instance is shutting down. The run ${run} goes on, here after a restart or elsewhere.`,
        )
      const change = this.#change(run, signal)
      if (!held() && !(first && this.#expected.has(run))) {
        const record = await this.#store.read({ kind: 'find', run })
        if (record === undefined) return undefined
        const end = endOf(record)
        if (end !== undefined) {
          this.#expected.delete(run)
          return end
        }
      }
      const end = await change
      if (end !== undefined) return end
    }
  }

  /** Whoever waits is told that this instance ends; the runs go on elsewhere. */
  close(): void {
    this.#over.abort()
    this.#timer?.[Symbol.dispose]()
    for (const wake of [...this.#earlier, ...this.#later]) wake()
  }

  /** Settles at the next change told here, after a while, or when the signal fires. */
  #change(run: RunId, signal?: AbortSignal): Promise<RunEnd | undefined> {
    const { promise, resolve } = Promise.withResolvers<RunEnd | undefined>()
    const waiting = this.#waiting.get(run) ?? new Set()
    this.#waiting.set(run, waiting)
    const wake: Wake = (end) => {
      signal?.removeEventListener('abort', stop)
      this.#earlier.delete(wake)
      this.#later.delete(wake)
      waiting.delete(wake)
      if (waiting.size === 0) this.#waiting.delete(run)
      resolve(end)
    }
    const stop = (): void => wake()
    signal?.addEventListener('abort', stop, { once: true })
    waiting.add(wake)
    this.#later.add(wake)
    this.#lookLater()
    return promise
  }

  #lookLater(): void {
    this.#timer ??= timeoutIn(this.#clock, LOOK_AGAIN, () => {
      this.#timer = undefined
      const due = this.#earlier
      this.#earlier = this.#later
      this.#later = new Set()
      for (const wake of due) wake()
      if (this.#earlier.size > 0) this.#lookLater()
    })
  }
}

import type { RunId } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import { ShutdownError } from '../core/errors.ts'
import type { RunEvent } from '../core/run-events.ts'
import type { RunEnd } from '../core/runs.ts'
import { follow, type View } from '../runtime/follow.ts'
import { Throttle } from '../runtime/throttle.ts'
import { timeoutIn } from '../runtime/timers.ts'
import type { Retention, Store } from '../stores/store.ts'
import { endOf, runOf } from './records.ts'

/** Others commit as often as they like: those who wait look again at most that often, and the last time always. */
const LOOK_AGAIN = 250

/** Who waits keeps the process alive; and should a commit ever go unheard, it is looked at then. */
const LOOK_ANYWAY = 30_000

/** A backlog of any length must not be remembered here: beyond that many, the store is asked. */
const EXPECTED = 10_000

export interface WatchParts {
  readonly store: Store
  readonly clock: Clock
  readonly retention: Retention
}

type Wake = (end?: RunEnd) => void

/** A change that is waited for. */
interface Change {
  readonly told: Promise<RunEnd | undefined>
  readonly free: () => void
  isOver: boolean
}

/** Tells whoever waits for a run: from this instance's own writes at once, from others' commits by looking again. */
export class Watch {
  readonly #store: Store
  readonly #retention: Retention
  readonly #waiting = new Map<RunId, Set<Wake>>()
  /** Started here and not ended yet, as far as is known: their end will most likely be told here, so waiting for it needs no look at the store first. */
  readonly #expected = new Set<RunId>()
  readonly #look: Throttle<void>
  readonly #clock: Clock
  #patience: Disposable | undefined
  readonly #over = new AbortController()

  constructor({ store, clock, retention }: WatchParts) {
    this.#store = store
    this.#retention = retention
    this.#clock = clock
    this.#look = new Throttle(clock, LOOK_AGAIN, () => this.#wakeAll())
  }

  /** It was not: refused, or another's run. */
  notStarted(run: RunId): void {
    this.#expected.delete(run)
  }

  /** Another process committed something: what was expected to end here may have ended there. */
  woken(): void {
    this.#expected.clear()
    if (this.#waiting.size > 0) this.#look.push()
  }

  /** Told before it is committed: another process may perform it before that commit is answered. */
  starts(run: RunId): void {
    if (this.#expected.size < EXPECTED) this.#expected.add(run)
  }

  /** This instance's own write changed the run; `end` where it ended by it. */
  changed(run: RunId, end?: RunEnd): void {
    this.#expected.delete(run)
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
      return {
        run: runOf(record, this.#retention),
        number: record.number,
        trimmed: record.trimmed,
        firstOutput,
        events,
      }
    }
    const signal =
      options.signal === undefined ? this.#over.signal : AbortSignal.any([options.signal, this.#over.signal])
    return follow({ read, change: (freed) => this.#change(run, freed).told }, { ...options, signal })
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
      const isKnown = held() || (first && this.#expected.has(run))
      const found = isKnown ? undefined : await this.#asked(run, held, change)
      if (found !== undefined) return found.end
      const end = await change.told
      if (end !== undefined) return end
    }
  }

  /** What the store says of the run, where that is an end, or that there is none; undefined: it is worth waiting. */
  async #asked(
    run: RunId,
    held: () => boolean,
    change: Change,
  ): Promise<{ readonly end: RunEnd | undefined } | undefined> {
    const record = await this.#store.read({ kind: 'find', run }).catch((error: unknown) => {
      change.free()
      throw error
    })
    // What is told here has what was thrown as it was: better than what is read of it.
    if (change.isOver || held()) return undefined
    const end = record && endOf(record)
    if (record !== undefined && end === undefined) return undefined
    this.#expected.delete(run)
    change.free()
    return { end }
  }

  /** Whoever waits is told that this instance ends; the runs go on elsewhere. */
  close(): void {
    this.#over.abort()
    this.#look.flush()
    this.#wakeAll()
  }

  #wakeAll(): void {
    for (const wakes of this.#waiting.values()) for (const wake of wakes) wake()
  }

  /** Settles at the next change told here, after somebody else's commit, or when the signal fires. */
  #change(run: RunId, signal?: AbortSignal): Change {
    const { promise, resolve } = Promise.withResolvers<RunEnd | undefined>()
    const waiting = this.#waiting.get(run) ?? new Set()
    this.#waiting.set(run, waiting)
    const wake: Wake = (end) => {
      if (change.isOver) return // the run's waiters may be others by now
      change.isOver = true
      signal?.removeEventListener('abort', stop)
      waiting.delete(wake)
      if (waiting.size === 0) this.#waiting.delete(run)
      if (this.#waiting.size === 0) this.#rest()
      resolve(end)
    }
    const stop = (): void => wake()
    const change = { told: promise, free: stop, isOver: false }
    signal?.addEventListener('abort', stop, { once: true })
    waiting.add(wake)
    this.#patience ??= timeoutIn(this.#clock, LOOK_ANYWAY, () => {
      this.#patience = undefined
      this.#wakeAll()
    })
    return change
  }

  /** Nobody waits. */
  #rest(): void {
    this.#patience?.[Symbol.dispose]()
    this.#patience = undefined
  }
}

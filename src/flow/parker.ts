import { AsyncLocalStorage } from 'node:async_hooks'
import { OffstageError } from '../core/errors.ts'
import type { Awaited } from '../core/outcome.ts'
import type { FlowParts, Journal } from './journal.ts'

/** What the code waits for. */
export interface Wait {
  /** The step that keeps its end. */
  readonly step: string
  /** Its end by the store's time; null: none but the signal. */
  readonly moment: number | null
  /** The moment is so long from now, or a date, or kept in the journal already. */
  readonly by: 'duration' | 'date' | 'journal'
  readonly signal: Awaited | null
}

interface Waiting {
  wait: Wait
  readonly reject: (error: unknown) => void
}

/** Its moment, as a journal keeps it, has come. */
export const isPast = (kept: string, journal: Journal): boolean => !(Number(kept) > journal.now())

/**
 * Ends an attempt whose code only waits. What else it does is finished before: a step in progress would be done again, a child be
 * started late. Waits side by side end the attempt once, until the first of them; the ends of the others are kept.
 */
export class Parker {
  readonly #parts: Pick<FlowParts, 'journal' | 'clock' | 'signal'>
  readonly #inside = new AsyncLocalStorage<true>()
  readonly #waiting = new Set<Waiting>()
  #busy = 0
  #turn = false
  #isParked = false

  constructor(parts: Pick<FlowParts, 'journal' | 'clock' | 'signal'>) {
    this.#parts = parts
  }

  /** Something that must not be cut short. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isParked) return never()
    this.#busy++
    try {
      return await work()
    } finally {
      this.#busy--
      this.#look()
    }
  }

  /** Runs a step's own code. */
  within<T>(fn: () => T): T {
    return this.#inside.run(true, fn)
  }

  /** A step that waits would wait for itself: the attempt ends when its steps have. */
  mustBeOutside(what: string): void {
    if (this.#inside.getStore())
      throw new OffstageError(
        'OFFSTAGE_BAD_OPTION',
        `\`${what}\` was called within a step. Call it between steps: a step is done again from its beginning.`,
      )
  }

  /** Never resolves; rejects where the attempt is told to stop before it is parked. */
  park(wait: Wait): Promise<never> {
    const { signal } = this.#parts
    signal.throwIfAborted()
    if (this.#isParked) return never()
    if (wait.signal !== null && Array.from(this.#waiting).some((one) => one.wait.signal !== null))
      throw new OffstageError(
        'OFFSTAGE_BAD_OPTION',
        `\`ctx.waitFor('${wait.signal.name}')\` was called while the run waits for another signal. Wait for one after the other; what may be one or the other is one signal with another payload.`,
      )
    const { promise, reject } = Promise.withResolvers<never>()
    if (this.#waiting.size === 0) signal.addEventListener('abort', () => this.#reject(signal.reason), { once: true })
    this.#waiting.add({ wait, reject })
    this.#look()
    return promise
  }

  /** A turn later: code that was only waiting for a step may end by itself, or go on. */
  #look(): void {
    if (this.#turn || this.#busy > 0 || this.#waiting.size === 0) return
    this.#turn = true
    this.#parts.clock.nextTurn(() => {
      this.#turn = false
      if (this.#busy === 0 && this.#waiting.size > 0) void this.#leave() // it never rejects
    })
  }

  async #leave(): Promise<void> {
    const { journal } = this.#parts
    const all = Array.from(this.#waiting, ({ wait }) => wait).toSorted(byMoment)
    const [first, ...others] = all
    if (first === undefined) return
    const unkept = others.filter(({ by, moment }) => by !== 'journal' && moment !== null)
    if (unkept.length > 0) return this.#keep(unkept)
    const { moment, by } = first
    const left = by === 'duration' && moment !== null ? Math.max(0, Math.ceil(moment - journal.now())) : null
    const signal = all.find((wait) => wait.signal !== null)?.signal ?? null
    this.#isParked = true
    this.#waiting.clear() // none of them settles: not by the signal either, which says from now on that the attempt is over
    journal.park({ kind: 'parked', name: first.step, after: left, at: by === 'duration' ? null : moment, signal })
  }

  /** Only then is it looked again who waits: another wait may have begun, or the code have gone on. */
  async #keep(waits: readonly Wait[]): Promise<void> {
    const keep = async ({ step, moment }: Wait): Promise<void> => {
      const kept = await this.#parts.journal.record(step, String(Math.ceil(moment ?? 0)))
      for (const one of this.#waiting)
        if (one.wait.step === step) one.wait = { ...one.wait, moment: Number(kept), by: 'journal' }
    }
    try {
      await this.during(() => Promise.all(waits.map(keep)))
    } catch (error) {
      this.#reject(error)
    }
  }

  #reject(error: unknown): void {
    for (const { reject } of this.#waiting) reject(error)
    this.#waiting.clear()
  }
}

/** Code that goes on beside its wait is called again from its first line, and must not do the same a second time. */
const never = (): Promise<never> => new Promise(() => {})

const byMoment = (a: Wait, b: Wait): number =>
  (a.moment ?? Number.POSITIVE_INFINITY) - (b.moment ?? Number.POSITIVE_INFINITY)

import type { Clock } from '../core/clock.ts'
import { OffstageError } from '../core/errors.ts'
import { Batcher } from '../runtime/batcher.ts'
import { pause } from '../runtime/timers.ts'
import type { Answer, AnswerOf, Kind, Refused, Store, Write, WriteOf } from '../stores/store.ts'

/** Writes of one commit: enough to share an fsync among many, few enough that none waits long. */
const BATCH = 1_000
/** Between repeats while the store does not answer. */
const PATIENCE = { first: 50, most: 2_000 }

/** The one door to `Store.write`. Whatever is added while a commit is under way shares the next one. */
export class Ledger {
  readonly #batcher: Batcher<Write, Answer>
  readonly #clock: Clock
  readonly #closed = new AbortController()

  constructor(store: Store, clock: Clock) {
    this.#clock = clock
    this.#batcher = new Batcher((batch) => store.write(batch), { flights: store.flights, items: BATCH }, clock)
  }

  /** One try: rejects with the store's error, and then nobody knows whether it was written. */
  add<K extends Kind>(write: WriteOf<K>): Promise<AnswerOf<K>> {
    return this.#batcher.add(write as Write) // a store answers each write by its kind
  }

  /** For what an attempt came to: tried until there is an answer, or until the ledger closes. Each such write is harmless twice. `again`: called right before a repeat. */
  async insist<K extends 'settle' | 'record'>(write: WriteOf<K>, again?: () => void): Promise<AnswerOf<K>> {
    for (let wait = PATIENCE.first; ; wait = Math.min(wait * 2, PATIENCE.most)) {
      try {
        return await this.add(write)
      } catch (error) {
        if (this.#closed.signal.aborted) throw error
        await pause(this.#clock, wait, this.#closed.signal)
        again?.()
      }
    }
  }

  /** Number of the latest commit that was sent. */
  get sent(): number {
    return this.#batcher.sent
  }

  /** Whether every commit up to that number was answered, or its reply lost. */
  isAnswered(commit: number): boolean {
    return this.#batcher.isBack(commit)
  }

  /** Nothing is repeated any more. */
  close(): void {
    this.#closed.abort()
  }
}

export const isRefused = (answer: Answer): answer is Refused =>
  typeof answer === 'object' && answer !== null && 'refused' in answer

/** The answer, or what the store refused as an error. */
export function accepted<K extends Kind>(answer: AnswerOf<K>): Exclude<AnswerOf<K>, Refused> {
  if (isRefused(answer)) throw new OffstageError(answer.refused, answer.message)
  return answer as Exclude<AnswerOf<K>, Refused> // the refusal was just ruled out
}

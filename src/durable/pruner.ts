import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import type { Role } from '../runtime/service.ts'
import type { Retention } from '../stores/store.ts'
import { accepted, type Ledger } from './ledger.ts'

/** Runs forgotten in one commit: few enough that nobody's start waits long for it. */
const AT_ONCE = 500
/** Between looks: each takes the write lock, and a store at rest must be left alone. */
const EVERY = 60_000
/** A fleet that starts together looks one after another. */
const FIRST = { from: 2_000, spread: 30_000 }

export interface PrunerParts {
  readonly ledger: Ledger
  readonly clock: Clock
  readonly random: Random
  readonly retention: Retention
  /** This instance is closing: the rest is another's, or its successor's. */
  readonly stopped: () => boolean
}

/** Forgets ended runs when they have been kept long enough, or when the store takes too much room. Never one that waits or is running. */
export class Pruner implements Role {
  readonly #parts: PrunerParts
  #due: number

  constructor(parts: PrunerParts) {
    this.#parts = parts
    this.#due = parts.clock.monotonic() + FIRST.from + parts.random.fraction() * FIRST.spread
  }

  async tick(): Promise<void> {
    const { clock, stopped } = this.#parts
    if (clock.monotonic() < this.#due) return
    this.#due = clock.monotonic() + EVERY
    while (!stopped() && (await this.#prune()) > 0);
  }

  async #prune(): Promise<number> {
    const { ledger, retention } = this.#parts
    return accepted<'prune'>(await ledger.add({ kind: 'prune', retention, limit: AT_ONCE })).removed
  }
}

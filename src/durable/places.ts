import { SUSPECT_AT } from '../core/rescue.ts'
import type { Executor } from '../runtime/executor.ts'
import type { Place } from '../runtime/lending.ts'
import type { Places } from '../stores/store.ts'

/** What an instance has places for: one run. */
interface Guest {
  readonly thread: boolean
  readonly crashes: number
}

/** How many runs an instance performs at once, and how many more it may claim: in all, of these on threads, of these with two crashes. */
export class OpenPlaces {
  readonly #threads: Executor
  #bound: number
  #taken = 0
  /** Thread runs claimed or reserved whose code has not been given to the pool yet. */
  #coming = 0
  /** Runs with two crashes. One at a time, so that none is poisoned by another; a parent that awaits its child does not count. */
  #suspects = 0

  constructor(bound: number, threads: Executor) {
    this.#bound = bound
    this.#threads = threads
  }

  set bound(bound: number) {
    this.#bound = bound
  }

  get isOpen(): boolean {
    return this.#bound > 0
  }

  get free(): Places {
    const all = Math.max(0, this.#bound - this.#taken)
    const threads = Math.max(0, Math.min(all, this.#threads.free - this.#coming))
    return { all, threads, suspects: this.#suspects > 0 ? 0 : 1 }
  }

  get areAllFree(): boolean {
    return this.#taken === 0
  }

  /** For a run that is on its way: reserved, or claimed and not begun. */
  take(run: Guest): void {
    this.enter(run)
    if (run.thread) this.#coming++
  }

  /** Its code was given to its executor, which counts it from here. */
  begun({ thread }: Guest): void {
    if (thread) this.#coming--
  }

  /** What was reserved and did not come. */
  giveUp(run: Guest): void {
    this.begun(run)
    this.leave(run)
  }

  /** For good, or for as long as it awaits a child. */
  leave({ crashes }: Guest): void {
    this.#taken--
    if (crashes >= SUSPECT_AT) this.#suspects--
  }

  /** Of a run that may leave it for a while; `freed`: it was left. */
  placeOf(run: Guest, freed: () => void): Place {
    return {
      leave: () => {
        this.leave(run)
        freed()
      },
      enter: () => this.enter(run),
    }
  }

  enter({ crashes }: Guest): void {
    this.#taken++
    if (crashes >= SUSPECT_AT) this.#suspects++
  }
}

/** Where a run stands while it is performed; `enter` never waits, past the bound if need be: waiting for a place could deadlock. */
export interface Place {
  leave(): void
  enter(): void
}

/**
 * While an attempt awaits a child's result its place is free for others: parents cannot starve their children. However many children
 * it awaits at once, it is one place; and once the attempt has ended, a wait it left behind gives nothing back.
 */
export class Lending {
  readonly #places: readonly Place[]
  #waits = 0
  #over = false

  constructor(...places: readonly Place[]) {
    this.#places = places
  }

  async lend<T>(wait: () => Promise<T>): Promise<T> {
    if (this.#waits++ === 0 && !this.#over) for (const place of this.#places) place.leave()
    try {
      return await wait()
    } finally {
      if (--this.#waits === 0 && !this.#over) for (const place of this.#places) place.enter()
    }
  }

  /** The attempt has ended: its places are its own again, to be given back once. */
  end(): void {
    if (!this.#over && this.#waits > 0) for (const place of this.#places) place.enter()
    this.#over = true
  }
}

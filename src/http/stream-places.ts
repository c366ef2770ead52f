import type { HttpSettings } from './access.ts'

/** How many event streams are open: in all, and by whom. */
export class StreamPlaces {
  readonly #limits: HttpSettings['limits']
  readonly #taken = new Map<string, number>()
  #all = 0

  constructor(limits: HttpSettings['limits']) {
    this.#limits = limits
  }

  /** A place, given back by disposing it once; undefined: there is none left. */
  take(reader: string): Disposable | undefined {
    const taken = this.#taken.get(reader) ?? 0
    if (this.#all >= this.#limits.streams || taken >= this.#limits.streamsPerOwner) return undefined
    this.#all++
    this.#taken.set(reader, taken + 1)
    return { [Symbol.dispose]: () => this.#free(reader) }
  }

  #free(reader: string): void {
    const left = (this.#taken.get(reader) ?? 1) - 1
    this.#all--
    if (left === 0) this.#taken.delete(reader)
    else this.#taken.set(reader, left)
  }
}

import type { Clock } from '../core/clock.ts'

/** From that many on, a second commit costs less than it hides. */
const LARGE = 64

interface Waiting<Item, Answer> {
  readonly item: Item
  readonly answer: PromiseWithResolvers<Answer>
}

/**
 * While a flight is out, everything that arrives waits together and leaves with the next. No timer, no window: an idle batcher
 * leaves at the end of the turn, with all that came in it; a busy one gets bigger batches by itself. (Group commit, as in
 * DeWitt et al., "Implementation techniques for main memory database systems", SIGMOD 1984.)
 */
export class Batcher<Item, Answer> {
  readonly #send: (batch: readonly Item[]) => Promise<readonly Answer[]>
  readonly #limits: { readonly flights: number; readonly items: number }
  readonly #clock: Clock
  #waiting: Waiting<Item, Answer>[] = []
  /** Flights that are out, by number. */
  readonly #out = new Set<number>()
  #sent = 0
  #leaving = false

  constructor(
    send: (batch: readonly Item[]) => Promise<readonly Answer[]>,
    limits: { readonly flights: number; readonly items: number },
    clock: Clock,
  ) {
    this.#send = send
    this.#limits = limits
    this.#clock = clock
  }

  /** Resolves with this item's answer; rejects where its whole flight failed. */
  add(item: Item): Promise<Answer> {
    const answer = Promise.withResolvers<Answer>()
    this.#waiting.push({ item, answer })
    this.#leave()
    return answer.promise
  }

  /** Number of the latest flight. */
  get sent(): number {
    return this.#sent
  }

  /** Whether every flight up to that number is back, with its answers or without. */
  isBack(flight: number): boolean {
    return this.#out.values().every((out) => out > flight)
  }

  #leave(): void {
    if (this.#leaving || this.#out.size >= this.#limits.flights || this.#waiting.length === 0) return
    this.#leaving = true
    this.#clock.nextTurn(() => {
      this.#leaving = false
      const batch = this.#waiting.splice(0, Math.min(this.#share(), this.#limits.items))
      if (batch.length > 0) void this.#fly(batch) // it never rejects: each item has its own answer
      this.#leave()
    })
  }

  /** A large crowd is shared out over the flights that are free: while one commits, the answers of the other are worked on. */
  #share(): number {
    const { length } = this.#waiting
    return length < LARGE ? length : Math.ceil(length / (this.#limits.flights - this.#out.size))
  }

  async #fly(batch: readonly Waiting<Item, Answer>[]): Promise<void> {
    const flight = ++this.#sent
    this.#out.add(flight)
    try {
      const answers = await this.#send(batch.map(({ item }) => item))
      // Every flight answers each of its items, in order: a Store's rule.
      for (const [index, { answer }] of batch.entries()) answer.resolve(answers[index] as Answer)
    } catch (error) {
      for (const { answer } of batch) answer.reject(error)
    } finally {
      this.#out.delete(flight)
      this.#leave()
    }
  }
}

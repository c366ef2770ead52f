import type { Clock } from '../core/clock.ts'
import type { Place } from './lending.ts'

/** Items of one priority, in their order. One iterator goes along the set, since to find its first anew is slow where many were taken. */
class Line<T> {
  readonly #items = new Set<T>()
  #next: SetIterator<T> | undefined
  push(item: T): void {
    this.#items.add(item)
  }
  take(): T | undefined {
    this.#next ??= this.#items.values()
    const { value, done } = this.#next.next()
    if (done) this.#next = undefined
    else this.#items.delete(value)
    return value
  }
  remove(item: T): void {
    this.#items.delete(item)
  }
  get size(): number {
    return this.#items.size
  }
}

/**
 * At most `limit` at once; higher priority first, then first come first served. Begins each in a later turn than it was added.
 * Who adds bounds how many may wait.
 */
export class Limiter<Item> implements Place {
  readonly #limit: number
  readonly #clock: Clock
  readonly #begin: (item: Item) => Promise<void>
  readonly #lines = new Map<number, Line<Item>>()
  #priorities: number[] = []
  #taken = 0
  #turn = false

  constructor(limit: number, clock: Clock, begin: (item: Item) => Promise<void>) {
    this.#limit = limit
    this.#clock = clock
    this.#begin = begin
  }

  add(item: Item, priority: number): void {
    let line = this.#lines.get(priority)
    if (line === undefined) {
      line = new Line()
      this.#lines.set(priority, line)
      this.#priorities = [...this.#priorities, priority].toSorted((a, b) => b - a)
    }
    line.push(item)
    this.#admitLater()
  }

  /** It will not begin: nothing of it is kept. */
  remove(item: Item, priority: number): void {
    this.#lines.get(priority)?.remove(item)
  }

  leave(): void {
    this.#taken--
    this.#admitLater()
  }

  enter(): void {
    this.#taken++
  }

  #admitLater(): void {
    if (this.#turn || this.#taken >= this.#limit) return
    this.#turn = true
    this.#clock.nextTurn(() => {
      this.#turn = false
      for (let item = this.#next(); item !== undefined; item = this.#next()) void this.#admit(item) // `begin` never rejects
    })
  }

  #next(): Item | undefined {
    if (this.#taken >= this.#limit) return undefined
    for (const priority of this.#priorities) {
      const line = this.#lines.get(priority)
      if (line !== undefined && line.size > 0) return line.take()
    }
    return undefined
  }

  async #admit(item: Item): Promise<void> {
    this.enter()
    try {
      await this.#begin(item)
    } finally {
      this.leave()
    }
  }
}

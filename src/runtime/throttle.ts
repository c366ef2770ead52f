import type { Clock } from '../core/clock.ts'
import { timeoutIn } from './timers.ts'

/** Passes the first value on at once, then at most one in `ms`: the latest. `flush` passes on what still waits, so the last is never lost. */
export class Throttle<T> {
  readonly #clock: Clock
  readonly #ms: number
  readonly #pass: (value: T) => void
  #latest: { readonly value: T } | undefined
  #closed: Disposable | undefined

  constructor(clock: Clock, ms: number, pass: (value: T) => void) {
    this.#clock = clock
    this.#ms = ms
    this.#pass = pass
  }

  push(value: T): void {
    this.#latest = { value }
    if (this.#closed === undefined) this.#open()
  }

  flush(): void {
    this.#closed?.[Symbol.dispose]()
    this.#closed = undefined
    this.#take()
  }

  #open(): void {
    this.#closed = undefined
    if (this.#take()) this.#closed = timeoutIn(this.#clock, this.#ms, () => this.#open())
  }

  #take(): boolean {
    const latest = this.#latest
    this.#latest = undefined
    if (latest !== undefined) this.#pass(latest.value)
    return latest !== undefined
  }
}

import type { Clock } from '../../src/core/clock.ts'

interface Timer {
  readonly due: number
  readonly call: () => void
}

/** Time that passes when a test says so. Turns of the event loop are real: they take no time, and order what happens in them. */
export class FakeClock implements Clock {
  #passed = 0
  readonly #timers = new Set<Timer>()
  /** What `now` begins with. */
  #begin: number

  constructor(begin = Date.UTC(2026, 0, 1)) {
    this.#begin = begin
  }

  now(): number {
    return this.#begin + this.#passed
  }

  monotonic(): number {
    return this.#passed
  }

  timer(ms: number, call: () => void): Disposable {
    // As the platform's own: what is too long, or no number, fires at once.
    const timer = { due: this.#passed + (ms <= 2 ** 31 - 1 ? Math.max(ms, 1) : 1), call }
    this.#timers.add(timer)
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) }
  }

  nextTurn(call: () => void): void {
    setImmediate(call)
  }

  /** Somebody sets the wall clock: no time passes. */
  jump(ms: number): void {
    this.#begin += ms
  }

  /** Timers that were neither fired nor disposed. */
  get armed(): number {
    return this.#timers.size
  }

  /** Fires what becomes due within `ms`, in order, each with time to have its consequences. */
  async advance(ms: number): Promise<void> {
    await turns()
    const until = this.#passed + ms
    for (let timer = this.#next(until); timer !== undefined; timer = this.#next(until)) {
      this.#timers.delete(timer)
      this.#passed = Math.max(this.#passed, timer.due)
      timer.call()
      await turns()
    }
    this.#passed = until
    await turns()
  }

  /** Time passes and no timer fires, as while a machine sleeps: those that are due fire with the next `advance`. */
  skip(ms: number): void {
    this.#passed += ms
  }

  /** Lets time pass until the promise settles; its answer. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const settle = (): boolean => (settled = true)
    promise.then(settle, settle)
    for (await turns(); !settled;) await this.advance(50)
    return promise
  }

  #next(until: number): Timer | undefined {
    const due = [...this.#timers].filter((timer) => timer.due <= until)
    return due.toSorted((a, b) => a.due - b.due)[0]
  }
}

/** Some turns of the event loop: enough for whatever follows in this process without waiting for anything outside of it. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

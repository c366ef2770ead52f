import type { Clock } from '../core/clock.ts'

/** A platform timer takes at most 2^31 − 1 ms and fires at once beyond it (medusa#16281). */
const STEP = 2 ** 31 - 1

/** Calls once, `ms` from now, however far that is. Disposing it before is the end of it. */
export function timeoutIn(clock: Clock, ms: number, call: () => void): Disposable {
  const due = clock.monotonic() + ms
  let current = arm()
  function arm(): Disposable {
    const left = Math.max(0, due - clock.monotonic())
    return left > STEP ? clock.timer(STEP, () => (current = arm())) : clock.timer(left, call)
  }
  return { [Symbol.dispose]: () => current[Symbol.dispose]() }
}

/** Settles after `ms`, or as soon as the signal fires; never rejects, leaves neither timer nor listener. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const end = (): void => {
      timer[Symbol.dispose]()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = timeoutIn(clock, ms, end)
    signal?.addEventListener('abort', end, { once: true })
  })
}

/** The promise's own end, or undefined once `ms` have passed: for what must not hold anybody up. */
export async function within<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>()
  using _timer = timeoutIn(clock, ms, () => late.resolve(undefined))
  return await Promise.race([promise, late.promise])
}

/** Rings at the earliest of the moments it was asked for, then waits to be asked again. Disposed, it rings no more. */
export class Alarm implements Disposable {
  readonly #clock: Clock
  readonly #ring: () => void
  #next: { readonly at: number; readonly timer: Disposable } | undefined
  #over = false

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock
    this.#ring = ring
  }

  ringIn(ms: number): void {
    const at = this.#clock.monotonic() + ms
    if (this.#over || (this.#next !== undefined && this.#next.at <= at)) return
    this.#next?.timer[Symbol.dispose]()
    const ring = (): void => {
      this.#next = undefined
      this.#ring()
    }
    this.#next = { at, timer: timeoutIn(this.#clock, ms, ring) }
  }

  /** What it was asked for is forgotten. */
  silence(): void {
    this.#next?.timer[Symbol.dispose]()
    this.#next = undefined
  }

  [Symbol.dispose](): void {
    this.#over = true
    this.silence()
  }
}

/** One moment by both clocks: the wall's, for what people call a date; and one that nobody sets, for how long something may take. */
export interface Moment {
  readonly now: number
  readonly steady: number
}

/** Time, as an argument: tests and the simulator put in another. Every moment is milliseconds. */
export interface Clock {
  /** Wall clock: milliseconds since the epoch. May jump; only for what people call a date. */
  now(): number
  /** Never goes back; its zero means nothing. For how long something took. */
  monotonic(): number
  /** Calls once, `ms` from now (at most 2^31 − 1; `runtime/timers.ts` takes longer ones in steps). */
  timer(ms: number, call: () => void): Disposable
  /** Calls in a later turn of the event loop, in the order asked. */
  nextTurn(call: () => void): void
}

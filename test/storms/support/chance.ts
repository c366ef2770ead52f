/** The lengths of the fault table instead of the short ones: OFFSTAGE_STORMS=full. */
export const FULL: boolean = process.env['OFFSTAGE_STORMS'] === 'full'

/** A length, a count or a bound: that of the fault table, or the short one. */
export const long = <T>(full: T, short: T): T => (FULL ? full : short)

/** Printed with every storm's figures: SEED=… plays its chances again. */
export const SEED: number = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)

export interface Chance {
  /** A number from `from` up to `to`, which it does not reach. */
  between(from: number, to: number): number
  whole(from: number, to: number): number
  pick<T>(items: readonly T[]): T
}

/** A storm's own chances (mulberry32): what two storms draw does not depend on which came first. */
export function chance(storm: string): Chance {
  let state = storm.split('').reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 16_777_619), SEED)
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (from: number, to: number): number => from + fraction() * (to - from)
  const whole = (from: number, to: number): number => Math.floor(between(from, to + 1))
  return { between, whole, pick: (items) => items[whole(0, items.length - 1)]! }
}

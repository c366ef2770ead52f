import { refuse } from './options.ts'

/** `'30s'`, `'1.5h'`, or a number of milliseconds. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const TEXT = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/
/** 100,000 years: any moment that far from now is still a Date. */
const LONGEST = 3.15e15

/** Milliseconds, rounded up to a whole one; `OFFSTAGE_BAD_OPTION` naming `at` for anything that is no duration. */
export function milliseconds(value: unknown, at: string): number {
  const match = typeof value === 'string' ? TEXT.exec(value) : null
  const ms = match ? Number(match[1]) * (UNITS[match[2] ?? ''] ?? Number.NaN) : value
  if (typeof ms !== 'number' || !(ms >= 0 && ms <= LONGEST))
    refuse(at, "a duration: milliseconds from 0 up, or a text such as '30s', '5m', '1h'", value)
  return Math.ceil(ms)
}

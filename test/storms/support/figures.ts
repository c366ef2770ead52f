import { FULL, SEED } from './chance.ts'
import { Yardstick } from './yardstick.ts'

/** The smallest value that so many of a hundred do not exceed; NaN of none. */
export function percentile(values: readonly number[], of: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((sorted.length * of) / 100) - 1)] ?? Number.NaN
}

const rounded = (value: unknown): unknown => (typeof value === 'number' ? Math.round(value * 10) / 10 : value)

/** Of this whole file. */
const run = new Yardstick()

/** One line of a storm's figures, for whoever notes them. */
export function tell(storm: string, figures: Readonly<Record<string, unknown>>): void {
  const said = Object.entries(figures).map(([name, value]) => `${name} ${String(rounded(value))}`)
  const slow = run.slowness === 1 ? '' : `, machine ${String(rounded(run.slowness))} times slower`
  console.log(`storm ${storm} (${FULL ? 'full' : 'short'}, SEED=${SEED}${slow}): ${said.join(', ')}`)
}

/** How long each of these took, in milliseconds. */
export const spread = (values: readonly number[]): Readonly<Record<string, number>> => ({
  count: values.length,
  p50: percentile(values, 50),
  p99: percentile(values, 99),
  max: Math.max(...values),
})

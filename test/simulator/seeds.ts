import { simulate, type Verdict } from './simulate.ts'

export interface Asked {
  readonly from: number
  /** Without this one. */
  readonly to: number
  /** Ends with the first seed that breaks this rule; without it, with the first that breaks any. */
  readonly until?: string
}
export interface Tally {
  readonly seeds: number
  /** In all of them. */
  readonly happened: number
  readonly ms: number
  /** The first seed of each rule that was broken. */
  readonly broken: readonly Verdict[]
  /** How often each situation came up. */
  readonly met: Readonly<Record<string, number>>
}

/** One seed after another. */
export async function simulateAll({ from, to, until }: Asked): Promise<Tally> {
  const began = performance.now()
  const broken = new Map<string, Verdict>()
  const met: Record<string, number> = {}
  let [seeds, happened] = [0, 0]
  for (let seed = from; seed < to; seed++) {
    const verdict = await simulate(seed)
    // A simulation lets no turn of the event loop pass: here others have theirs.
    if (seeds % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    seeds++
    happened += verdict.happened
    for (const [situation, times] of verdict.met) met[situation] = (met[situation] ?? 0) + times
    if (verdict.broken === undefined) continue
    if (!broken.has(verdict.broken)) broken.set(verdict.broken, verdict)
    if (until === undefined || until === verdict.broken) break
  }
  return { seeds, happened, ms: performance.now() - began, broken: [...broken.values()], met }
}

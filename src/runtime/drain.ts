import type { Clock } from '../core/clock.ts'
import { within } from './timers.ts'

/** A run that was left behind. */
export interface Drained {
  readonly id: string
  readonly task: string
  readonly durable: boolean
}

/** What `drain` did. */
export interface DrainReport {
  /** Attempts that it began. */
  readonly performed: number
  /** The deadline came first: work that is due may be left. */
  readonly left: boolean
}

/** Whatever performs runs. */
export interface Drainable {
  /** Starts nothing more; resolves when nothing is left that can be done within `ms`. */
  idle(ms: number): Promise<void>
  /** Aborts what is under way, and names all that was given up. */
  abandon(): readonly Drained[]
}

/** How long a shutdown takes at the most, in milliseconds: for runs to end, for what was then aborted to stop and be recorded, for closing. */
export interface Plan {
  readonly grace: number
  readonly stop: number
  readonly close: number
}

const MOST = { stop: 1_000, close: 500 }

/** The grace whole, and then the last words. */
export const planWith = (grace: number): Plan => ({ grace, ...MOST })

/** All of it within the deadline: at most a fifth of it for closing, and a quarter of the rest for stopping. */
export function planWithin(deadline: number): Plan {
  const close = Math.min(deadline / 5, MOST.close)
  const stop = Math.min((deadline - close) / 4, MOST.stop)
  return { grace: deadline - close - stop, stop, close }
}

/** Waits until nothing is under way, aborts what is left after the grace, and names it. Holds its time whatever hangs. */
export async function drain(
  parts: readonly Drainable[],
  { grace, stop }: Pick<Plan, 'grace' | 'stop'>,
  clock: Clock,
): Promise<readonly Drained[]> {
  const idle = Promise.all(parts.map((part) => part.idle(grace)))
  await within(clock, grace, idle)
  const abandoned = parts.flatMap((part) => part.abandon())
  await within(clock, stop, idle)
  return abandoned
}

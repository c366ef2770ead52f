import type { Clock } from '../core/clock.ts'
import { within } from './timers.ts'

/** A run that was left behind. */
export interface Drained {
  readonly id: string
  readonly task: string
  readonly durable: boolean
}

/** Whatever performs runs. */
export interface Drainable {
  /** Starts nothing more; resolves when nothing is left that can be done within `ms`. */
  idle(ms: number): Promise<void>
  /** Aborts what is under way, and names all that was given up. */
  abandon(): readonly Drained[]
}

/** Share of the deadline kept for what was aborted to stop and be recorded; at most a second. */
const LAST_WORDS = { share: 0.25, most: 1_000 }

/** Waits until nothing is under way, aborts what is left when the time has come, and names it. Holds its deadline whatever hangs. */
export async function drain(parts: readonly Drainable[], deadline: number, clock: Clock): Promise<readonly Drained[]> {
  const lastWords = Math.min(deadline * LAST_WORDS.share, LAST_WORDS.most)
  const idle = Promise.all(parts.map((part) => part.idle(deadline - lastWords)))
  await within(clock, deadline - lastWords, idle)
  const abandoned = parts.flatMap((part) => part.abandon())
  await within(clock, lastWords, idle)
  return abandoned
}

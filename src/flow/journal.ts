import type { Claim } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import type { PayloadLimit } from '../core/payload.ts'
import type { Journal } from '../runtime/executor.ts'

/** What a durable run remembers between attempts; with `FlowParts` the only thing the rest of `flow` knows of it. */
export type { Journal } from '../runtime/executor.ts'

/** What an attempt gives to what its code remembers. */
export interface FlowParts {
  readonly journal: Journal
  readonly claim: Claim
  readonly task: string
  readonly signal: AbortSignal
  readonly limit: PayloadLimit
  readonly clock: Pick<Clock, 'nextTurn'>
}

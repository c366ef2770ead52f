import type { DatabaseSync } from 'node:sqlite'
import type { Claim } from '../../core/claim.ts'
import { verbOf, type Outcome, type Parking } from '../../core/outcome.ts'
import { next } from '../../core/run-state.ts'
import { FOREVER, signalStep } from '../../core/waiting.ts'
import type { AnswerOf, Settled } from '../store.ts'
import { KEPT_ATTEMPTS } from '../../core/run-events.ts'
import { trimAttempts } from './history.ts'
import { writeOwn } from './own.ts'
import type * as ends from './sql/ends.ts'
import type * as writes from './sql/writes.ts'
import type { Prepared } from './statement.ts'
import type { SentSettle } from './wire.ts'

export interface SettleParts {
  readonly sql: Prepared<typeof ends & typeof writes>
  readonly database: DatabaseSync
  readonly now: number
}
type Ended = Exclude<Outcome<string | null>, Parking>

export function settle(parts: SettleParts, { claim, outcome, tx }: SentSettle): AnswerOf<'settle'> {
  const { sql, now } = parts
  const { run, attempt } = claim
  if (tx !== undefined && tx.length > 0) {
    if (sql.current.row(run, attempt) === undefined) return 'fenced'
    const refused = writeOwn(parts.database, tx)
    if (refused !== undefined) return refused
  }
  const settled = outcome.kind === 'parked' ? park(parts, claim, outcome) : leave(parts, claim, outcome)
  if (settled !== undefined) return settled
  return sql.cancelAsAsked.run(run, attempt, now) === 1 ? { state: next('running', 'cancel'), at: now } : 'fenced'
}

/** Undefined: nothing was left, the attempt being fenced; or cancel was requested and this is no success. */
function leave(parts: SettleParts, claim: Claim, outcome: Ended): Settled | undefined {
  const at = outcome.kind === 'retry' ? parts.now + outcome.after : parts.now
  return change(parts, claim, outcome) === 1 ? { state: next('running', verbOf(outcome)), at } : undefined
}

function change(parts: SettleParts, claim: Claim, outcome: Ended): number {
  const { sql, now } = parts
  const { run, attempt } = claim
  switch (outcome.kind) {
    case 'succeeded':
      return sql.succeed.run(run, attempt, now, outcome.result)
    case 'failed':
      return sql.fail.run(run, attempt, now, outcome.reason, JSON.stringify(outcome.error))
    case 'canceled':
      return sql.cancel.run(run, attempt, now, JSON.stringify(outcome.error))
    case 'retry': {
      const error = JSON.stringify(outcome.error)
      return keep(parts, claim, { came: 'retry', error })
        ? sql.retry.run(run, attempt, now, now + outcome.after, error)
        : 0
    }
    case 'released':
      return keep(parts, claim, { came: 'released', error: null }) ? sql.release.run(run, attempt, now) : 0
  }
}

/** The moment is remembered once, so that an attempt that comes back sleeps for the rest of the time alone. */
function park(parts: SettleParts, claim: Claim, { name, after, at, signal }: Parking): Settled | undefined {
  const { sql, now } = parts
  const { run, attempt } = claim
  if (!keep(parts, claim, { came: 'parked', error: null })) return undefined
  const moment = at ?? (after === null ? FOREVER : now + after)
  const isNew = sql.recordStep.run(run, attempt, name, JSON.stringify(moment)) === 1
  const isThere = signal !== null && sql.stepOf.row(run, attempt, signalStep(signal)) !== undefined
  const due = isNew ? moment : Number(sql.stepOf.row(run, attempt, name)?.[0])
  const dueAt = isThere ? now : due
  sql.park.run(run, attempt, now, dueAt, isThere ? null : (signal?.name ?? null))
  return { state: next('running', 'park'), at: dueAt }
}

/** Under the claim's guard, and while no cancel was requested: false where that is not so. */
function keep(
  { sql, now }: SettleParts,
  { run, attempt }: Claim,
  { came, error }: { readonly came: 'retry' | 'parked' | 'released'; readonly error: string | null },
): boolean {
  if (sql.keepAttempt.run(run, attempt, now, came, error) === 0) return false
  if (attempt <= KEPT_ATTEMPTS) return true
  const seq = sql.current.row(run, attempt)?.[0]
  if (seq !== undefined) trimAttempts(sql, Number(seq))
  return true
}

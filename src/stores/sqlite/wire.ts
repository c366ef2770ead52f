import type { Claim, InstanceId } from '../../core/claim.ts'
import { next } from '../../core/run-state.ts'
import type { Answer, Claimed, ClaimedRun, Places, Write, WriteOf } from '../store.ts'
import { INPUT, runOf, type Row } from './rows.ts'

/**
 * How batches cross between the threads: as JSON text, which takes half the time of a structured clone; and what there is much of goes
 * without the names of its fields, most of its bytes.
 */
export type SentWrite = SentInsert | Exclude<Write, WriteOf<'insert'>>
export type SentAnswer = SentClaimed | Exclude<Answer, Claimed>

export interface SentInsert {
  readonly kind: 'insert'
  /** Of a run: those that are as they were asked for, in the order of sql/writes.ts; the first is its id. */
  readonly columns: readonly [id: string, ...rest: Row]
  readonly delay: number
  readonly at: number | null
  readonly claimFor: InstanceId | undefined
  readonly by: Claim | undefined
}
export interface SentClaimed extends Omit<Claimed, 'claimed'> {
  /** As they waited. */
  readonly rows: readonly Row[]
  readonly instance: InstanceId
  readonly startedAt: number
}

export const sentBatch = (batch: readonly Write[]): string => JSON.stringify(batch.map(sent))

export const receivedBatch = (text: string): readonly SentWrite[] => JSON.parse(text) as readonly SentWrite[] // as just above

export const sentAnswers = (answers: readonly SentAnswer[]): string => JSON.stringify(answers)

export const receivedAnswers = (text: string): readonly Answer[] =>
  (JSON.parse(text) as readonly SentAnswer[]).map(received) // as just above

/** A claim takes no more at once: a commit must not hold up others. And JSON has no infinity. */
const MOST_CLAIMED = 10_000

export function sent(write: Write): SentWrite {
  if (write.kind === 'claim') return { ...write, places: withinBounds(write.places) }
  if (write.kind !== 'insert') return write
  const { run, claimFor, by } = write
  const { id, task, version, queue, priority, maxAttempts, timeout, onCrash, owner, parent, input, delay, at } = run
  const thread = run.thread ? 1 : 0
  const tags = run.tags.length === 0 ? '[]' : JSON.stringify(run.tags)
  const policy = [task, version, thread, queue, priority, maxAttempts, timeout, onCrash]
  return { kind: 'insert', columns: [id, ...policy, owner, tags, parent, input], delay, at, claimFor, by }
}

const withinBounds = ({ all, threads }: Places): Places => ({
  all: Math.min(all, MOST_CLAIMED),
  threads: Math.min(threads, MOST_CLAIMED),
})

function received(answer: SentAnswer): Answer {
  if (typeof answer === 'string' || !('rows' in answer)) return answer
  const { rows, ...rest } = answer
  return { claimed: rows.map((row) => claimedOf(row, rest)), left: rest.left, next: rest.next }
}

/** What the claim's statement made of the row. */
function claimedOf(row: Row, { instance, startedAt }: Omit<SentClaimed, 'rows'>): ClaimedRun {
  const run = runOf(row)
  const counts = { attempt: run.attempt + 1, tries: run.tries + 1, number: run.number + 1 }
  const input = row[INPUT] as string | null // the schema is strict
  return { ...run, ...counts, state: next(run.state, 'claim'), instance, startedAt, input }
}

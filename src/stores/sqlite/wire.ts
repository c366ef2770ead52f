import type { Claim, InstanceId } from '../../core/claim.ts'
import type { Answer, Claimed, ClaimedRun, Places, TxStatement, TxValue, Write, WriteOf } from '../store.ts'
import { INPUT, runOf, type Row } from './rows.ts'

/**
 * How batches cross between the threads: as JSON text, which takes half the time of a structured clone; and what there is much of goes
 * without the names of its fields, most of its bytes.
 */
export type SentWrite = SentInsert | SentSettle | Exclude<Write, WriteOf<'insert' | 'settle'>>
export type SentAnswer = SentClaimed | Exclude<Answer, Claimed>

export interface SentInsert {
  readonly kind: 'insert'
  readonly columns: InsertColumns
  readonly delay: number
  readonly at: number | null
  readonly claimFor: InstanceId | undefined
  readonly by: Claim | undefined
}
/** Of a run: those that are as they were asked for, in the order of sql/inserts.ts. */
type InsertColumns = readonly [
  id: string,
  task: string,
  version: number,
  thread: number,
  queue: string,
  priority: number,
  maxAttempts: number,
  timeout: number | null,
  onCrash: string,
  owner: string | null,
  tags: string,
  parent: string | null,
  input: string | null,
  key: string | null,
  fingerprint: string | null,
]
export const OWNER = 9
export const KEY = 13
export const FINGERPRINT = 14

export interface SentSettle extends Omit<WriteOf<'settle'>, 'tx'> {
  readonly tx?: readonly SentStatement[] | undefined
}
export interface SentStatement extends Omit<TxStatement, 'values'> {
  readonly values: readonly SentValue[]
}
/** JSON has neither whole numbers beyond 2^53 nor bytes, and takes every other number that is none for null. */
type SentValue = string | number | null | { readonly whole: string } | { readonly bytes: string }

/** Its rows as they are once they were claimed. */
export interface SentClaimed extends Omit<Claimed, 'claimed'> {
  readonly rows: readonly Row[]
}

export const sentBatch = (batch: readonly Write[]): string => JSON.stringify(batch.map(sent))

export const receivedBatch = (text: string): readonly SentWrite[] => JSON.parse(text) as readonly SentWrite[] // as just above

export const sentAnswers = (answers: readonly SentAnswer[]): string => JSON.stringify(answers)

export const receivedAnswers = (text: string): readonly Answer[] =>
  (JSON.parse(text) as readonly SentAnswer[]).map(received) // as just above

/** A claim takes no more at once: a commit must not hold up others. And JSON has no infinity. */
const MOST_CLAIMED = 10_000

export function sent(write: Write): SentWrite {
  if (write.kind === 'insert') return sentInsert(write)
  if (write.kind === 'claim') return { ...write, places: withinBounds(write.places) }
  if (write.kind === 'settle' && write.tx !== undefined) return { ...write, tx: write.tx.map(sentStatement) }
  // The type does not see that no `tx` is left.
  return write as Exclude<typeof write, WriteOf<'settle'>>
}

export function sentInsert({ run, claimFor, by }: WriteOf<'insert'>): SentInsert {
  const { id, task, version, queue, priority, maxAttempts, timeout, onCrash, owner, parent, input, delay, at } = run
  const thread = run.thread ? 1 : 0
  const tags = run.tags.length === 0 ? '[]' : JSON.stringify(run.tags)
  const [key, fingerprint] =
    run.idempotency === null ? [null, null] : [run.idempotency.key, run.idempotency.fingerprint]
  const policy = [task, version, thread, queue, priority, maxAttempts, timeout, onCrash] as const
  const columns = [id, ...policy, owner, tags, parent, input, key, fingerprint] as const
  return { kind: 'insert', columns, delay, at, claimFor, by }
}

const withinBounds = ({ all, threads, suspects }: Places): Places => ({
  all: bounded(all),
  threads: bounded(threads),
  suspects: bounded(suspects),
})
const bounded = (places: number): number => Math.max(0, Math.min(places, MOST_CLAIMED))

const sentStatement = ({ text, values }: TxStatement): SentStatement => ({ text, values: values.map(sentValue) })

function sentValue(value: TxValue): SentValue {
  if (typeof value === 'bigint') return { whole: String(value) }
  return value instanceof Uint8Array ? { bytes: Buffer.from(value).toString('base64') } : value
}

export function receivedValue(value: SentValue): TxValue {
  if (typeof value !== 'object' || value === null) return value
  return 'whole' in value ? BigInt(value.whole) : new Uint8Array(Buffer.from(value.bytes, 'base64'))
}

function received(answer: SentAnswer): Answer {
  if (typeof answer === 'string' || !('rows' in answer)) return answer
  return { claimed: answer.rows.map(claimedOf), left: answer.left, next: answer.next }
}

const claimedOf = (row: Row): ClaimedRun => ({ ...runOf(row), input: row[INPUT] as string | null }) // the schema is strict

import type { Moment } from '../../core/clock.ts'
import type { Places, Version, WriteOf } from '../store.ts'
import type { Kinds } from './kinds.ts'
import type { Row } from './rows.ts'
import { STAGES } from './sql/schema.ts'
import type * as texts from './sql/claims.ts'
import type { Prepared } from './statement.ts'
import type { SentClaimed } from './wire.ts'

export type ClaimStatements = Prepared<typeof texts>

/** What a claim stands on. */
export interface ClaimParts {
  readonly sql: ClaimStatements
  readonly kinds: Kinds
  readonly moment: Moment
}

interface Candidate {
  readonly seq: number
  readonly rank: number
  readonly dueAt: number
  readonly onThread: boolean
  readonly isSuspect: boolean
}

/** Where nothing is ready and nothing has become due, the answer, without the write lock: most claims that others' commits lead to are so. */
export function nothingFor({ sql, moment: { now } }: ClaimParts): SentClaimed | undefined {
  const due = nextDue(sql)
  const [anyReady, anySuspect] = sql.anyReady.row() ?? []
  if (anyReady !== 0 || anySuspect !== 0 || (due !== null && due <= now)) return undefined
  return { rows: [], left: null, next: due === null ? null : due - now }
}

/** Waiting → running, for as many as there are places for. */
export function claim(parts: ClaimParts, { instance, can, places }: WriteOf<'claim'>): SentClaimed {
  const { sql } = parts
  const { now } = parts.moment
  const next = promote(sql, now)
  const candidates = candidatesFor(parts, can, places)
  const { taken, left } = choose(candidates, places)
  return { rows: taken.length === 0 ? [] : take(parts, instance, taken), left, next }
}

/** Those that have become due are ready from now on. Answers how long until the next will be. */
function promote(sql: ClaimStatements, now: number): number | null {
  const due = nextDue(sql)
  if (due === null || due > now) return due === null ? null : due - now
  const found = sql.due.rows(now)
  const listed = JSON.stringify(found.map(([seq]) => seq))
  if (sql.promote.run(listed) < found.length) sql.setAside.run(listed, STAGES.later, STAGES.later)
  const next = nextDue(sql)
  return next === null ? null : Math.max(0, next - now)
}

const nextDue = (sql: ClaimStatements): number | null => (sql.nextDue.row()?.[0] ?? null) as number | null // the schema is strict

/** The first of each kind, one more than there are places: it tells what is left waiting. */
function candidatesFor({ sql, kinds }: ClaimParts, can: readonly Version[], places: Places): readonly Candidate[] {
  const [anyReady, anySuspect] = sql.anyReady.row() ?? []
  if (anyReady === 0 && anySuspect === 0) return []
  const threads = Math.min(places.all, places.threads)
  const found = kinds.performedBy(can).flatMap(({ id, thread: onThread }) => {
    const ready = sql.candidates.rows(STAGES.ready, id, (onThread ? threads : places.all) + 1)
    const suspect = anySuspect === 0 ? [] : sql.candidates.rows(STAGES.suspect, id, places.suspects)
    return [
      ...ready.map((row) => candidateOf(row, { onThread, isSuspect: false })),
      ...suspect.map((row) => candidateOf(row, { onThread, isSuspect: true })),
    ]
  })
  return found.sort((a, b) => a.rank - b.rank || a.dueAt - b.dueAt || a.seq - b.seq)
}

const candidateOf = (row: Row, kind: Pick<Candidate, 'onThread' | 'isSuspect'>): Candidate => {
  const [seq, rank, dueAt] = row as readonly [number, number, number] // the schema is strict
  return { seq, rank, dueAt, ...kind }
}

/** In order, each within its bound. Suspects beyond theirs are passed over, as if they were not there. */
function choose(
  candidates: readonly Candidate[],
  places: Places,
): { readonly taken: readonly Candidate[]; readonly left: number | null } {
  let { all, threads, suspects } = places
  let left: number | null = null
  const taken: Candidate[] = []
  for (const candidate of candidates) {
    const { rank, onThread, isSuspect } = candidate
    if (isSuspect && suspects === 0) continue
    if (all <= 0 || (onThread && threads <= 0)) {
      left ??= 0 - rank
      continue
    }
    all--
    if (onThread) threads--
    if (isSuspect) suspects--
    taken.push(candidate)
  }
  return { taken, left }
}

/** As they are from now on, in that order. One that cannot be claimed is damaged: it would stand at the head for ever. */
function take(
  { sql, moment: { now, steady } }: ClaimParts,
  instance: string,
  taken: readonly Candidate[],
): readonly Row[] {
  const listed = JSON.stringify(taken.map(({ seq }) => seq))
  if (sql.claim.run(instance, now, listed, steady) < taken.length)
    sql.setAside.run(listed, STAGES.ready, STAGES.suspect)
  return sql.claimed.rows(listed)
}

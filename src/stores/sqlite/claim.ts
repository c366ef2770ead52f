import type { InstanceId } from '../../core/claim.ts'
import type { Claimed, ClaimedRun, Places, Version, WriteOf } from '../store.ts'
import type { Prepared } from './connection.ts'
import { INPUT, runOf, SEQ } from './rows.ts'
import { STAGES } from './sql/schema.ts'
import type * as texts from './sql/writes.ts'

type Statements = Prepared<typeof texts>

/** A claim takes no more at once: a commit must not hold up others. */
const MOST = 10_000

interface Candidate {
  readonly seq: number
  readonly rank: number
  readonly dueAt: number
  readonly onThread: boolean
  readonly isSuspect: boolean
}

/** Waiting → running, for as many as there are places for. */
export function claim(sql: Statements, { instance, can, places }: WriteOf<'claim'>, now: number): Claimed {
  const next = promote(sql, now)
  const candidates = candidatesFor(sql, can, places)
  const maySuspect = candidates.some(({ isSuspect }) => isSuspect) && sql.holdsSuspect.row(instance) === undefined
  const { taken, left } = choose(candidates, places, maySuspect)
  return { claimed: taken.length === 0 ? [] : take(sql, { instance, taken, now }), left, next }
}

/** Those that have become due are ready from now on. Answers how long until the next will be. */
function promote(sql: Statements, now: number): number | null {
  const due = nextDue(sql)
  if (due === null || due > now) return due === null ? null : due - now
  sql.promote.run(now)
  const next = nextDue(sql)
  return next === null ? null : Math.max(0, next - now)
}

const nextDue = (sql: Statements): number | null => (sql.nextDue.row()?.[0] ?? null) as number | null // the schema is strict

/** The first of each kind, one more than there are places: it tells what is left waiting. */
function candidatesFor(sql: Statements, can: readonly Version[], places: Places): readonly Candidate[] {
  const threads = Math.min(places.all, places.threads)
  return [
    ...candidatesOf(sql, { can, thread: false, limit: places.all + 1 }),
    ...candidatesOf(sql, { can, thread: true, limit: threads + 1 }),
  ].sort((a, b) => a.rank - b.rank || a.dueAt - b.dueAt || a.seq - b.seq)
}

function candidatesOf(
  sql: Statements,
  of: { can: readonly Version[]; thread: boolean; limit: number },
): readonly Candidate[] {
  const versions = of.can.filter(({ thread }) => thread === of.thread).map(({ task, version }) => [task, version])
  if (versions.length === 0) return []
  const stage = of.thread ? STAGES.thread : STAGES.loop
  const read = (isSuspect: boolean): readonly Candidate[] =>
    sql.candidates
      .rows(
        stage + (isSuspect ? STAGES.suspect : 0),
        JSON.stringify(versions),
        isSuspect ? 1 : Math.min(of.limit, MOST),
      )
      .map((row) => {
        const [seq, rank, dueAt] = row as readonly [number, number, number] // the schema is strict
        return { seq, rank, dueAt, onThread: of.thread, isSuspect }
      })
  return [...read(false), ...read(true)]
}

/** In order, each within its bound. An instance has one suspect at a time: others are passed over, as if they were not there. */
function choose(
  candidates: readonly Candidate[],
  places: Places,
  maySuspect: boolean,
): { readonly taken: readonly number[]; readonly left: number | null } {
  let { all, threads } = places
  let suspects = maySuspect ? 1 : 0
  let left: number | null = null
  const taken: number[] = []
  for (const { seq, rank, onThread, isSuspect } of candidates) {
    if (isSuspect && suspects === 0) continue
    if (all <= 0 || (onThread && threads <= 0)) {
      left ??= 0 - rank
      continue
    }
    all--
    if (onThread) threads--
    if (isSuspect) suspects--
    taken.push(seq)
  }
  return { taken, left }
}

function take(
  sql: Statements,
  of: { instance: InstanceId; taken: readonly number[]; now: number },
): readonly ClaimedRun[] {
  // RETURNING has no order of its own.
  const rows = new Map(sql.claim.rows(of.instance, of.now, JSON.stringify(of.taken)).map((row) => [row[SEQ], row]))
  return of.taken.flatMap((seq) => {
    const row = rows.get(seq)
    return row === undefined ? [] : [{ ...runOf(row), input: row[INPUT] as string | null }] // the schema is strict
  })
}

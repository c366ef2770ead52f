import type { Places, Version, WriteOf } from '../store.ts'
import type { Prepared } from './connection.ts'
import { DUE_AT, RANK, SEQ, type Row } from './rows.ts'
import { STAGES } from './sql/schema.ts'
import type * as texts from './sql/writes.ts'
import type { SentClaimed } from './wire.ts'

type Statements = Prepared<typeof texts>

interface Candidate {
  readonly row: Row
  readonly seq: number
  readonly rank: number
  readonly dueAt: number
  readonly onThread: boolean
  readonly isSuspect: boolean
}

/** Waiting → running, for as many as there are places for. */
export function claim(sql: Statements, { instance, can, places }: WriteOf<'claim'>, now: number): SentClaimed {
  const next = promote(sql, now)
  const candidates = candidatesFor(sql, can, places)
  const maySuspect = candidates.some(({ isSuspect }) => isSuspect) && sql.holdsSuspect.row(instance) === undefined
  const { taken, left } = choose(candidates, places, maySuspect)
  if (taken.length > 0) sql.claim.run(instance, now, JSON.stringify(taken.map(({ seq }) => seq)))
  return { rows: taken.map(({ row }) => row), instance, startedAt: now, left, next }
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
  const loops = candidatesOf(sql, { can, onThread: false, limit: places.all + 1 })
  const threaded = candidatesOf(sql, { can, onThread: true, limit: threads + 1 })
  return [...loops, ...threaded].sort((a, b) => a.rank - b.rank || a.dueAt - b.dueAt || a.seq - b.seq)
}

function candidatesOf(
  sql: Statements,
  of: { readonly can: readonly Version[]; readonly onThread: boolean; readonly limit: number },
): readonly Candidate[] {
  const { onThread } = of
  const versions = of.can.filter(({ thread }) => thread === onThread)
  if (versions.length === 0) return []
  const elsewhere = versions.filter((one) => !of.can.some((other) => other.thread !== onThread && isSame(one, other)))
  const [stage, other] = onThread ? [STAGES.thread, STAGES.loop] : [STAGES.loop, STAGES.thread]
  const [names, strays] = [namesOf(versions), namesOf(elsewhere)]
  const rows = (kind: number, most: number): readonly Row[] => [
    ...sql.candidates.rows(stage + kind, names, most),
    ...sql.misplaced.rows(other + kind, strays, most),
  ]
  return [
    ...rows(0, of.limit).map((row) => candidateOf(row, { onThread, isSuspect: false })),
    ...rows(STAGES.suspect, 1).map((row) => candidateOf(row, { onThread, isSuspect: true })),
  ]
}

const namesOf = (versions: readonly Version[]): string =>
  JSON.stringify(versions.map(({ task, version }) => [task, version]))

const isSame = (a: Version, b: Version): boolean => a.task === b.task && a.version === b.version

const candidateOf = (row: Row, kind: Pick<Candidate, 'onThread' | 'isSuspect'>): Candidate => {
  const [seq, rank, dueAt] = [row[SEQ], row[RANK], row[DUE_AT]] as [number, number, number] // the schema is strict
  return { row, seq, rank, dueAt, ...kind }
}

/** In order, each within its bound. An instance has one suspect at a time: others are passed over, as if they were not there. */
function choose(
  candidates: readonly Candidate[],
  places: Places,
  maySuspect: boolean,
): { readonly taken: readonly Candidate[]; readonly left: number | null } {
  let { all, threads } = places
  let suspects = maySuspect ? 1 : 0
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

import type { State } from '../../core/run-state.ts'
import { steadyTime } from '../../runtime/world.ts'
import type { WriteOf } from '../store.ts'
import { isOfOneRow } from './failures.ts'
import type * as texts from './sql/rescues.ts'
import type { Prepared } from './statement.ts'

type Statements = Prepared<typeof texts>
/** A run may have told much: nobody's commit shall wait for longer than about so many milliseconds. */
const LONGEST = 20
const SLICE = 10
/** How many times as many, where some stay. */
const BEYOND = 20
const ENDED = ['succeeded', 'failed', 'canceled'] as const satisfies readonly State[]

/** Forgets ended runs, those that ended first before others: what is too old, then what is too much. Answers how many. */
export function prune(sql: Statements, { retention, limit }: WriteOf<'prune'>, now: number): number {
  const old = forgotten(sql, (state) => now - retention[state], limit)
  const most = retention.maxBytes
  if (most === null || bytes(sql) <= most) return old
  const young = firstEnded(sql, () => Number.MAX_SAFE_INTEGER, limit - old)
  // Each by itself: how much room that makes is known only afterwards.
  let count = 0
  const due = steadyTime() + LONGEST
  for (const seq of young) if (bytes(sql) > most && (count === 0 || steadyTime() < due)) count += forget(sql, [seq])
  return old + count
}

type Until = (state: (typeof ENDED)[number]) => number

/** A run that a row of the user's refers to stays: then each goes by itself, and more are looked at than are asked for. */
function forgotten(sql: Statements, until: Until, limit: number): number {
  const due = steadyTime() + LONGEST
  const all = firstEnded(sql, until, limit)
  let count = 0
  for (let from = 0; from < all.length && (from === 0 || steadyTime() < due); from += SLICE) {
    const slice = all.slice(from, from + SLICE)
    const gone = forget(sql, slice)
    if (gone < slice.length) return count + oneByOne(sql, firstEnded(sql, until, limit * BEYOND), limit - count)
    count += gone
  }
  return count
}

const oneByOne = (sql: Statements, seqs: readonly number[], limit: number): number =>
  seqs.reduce((sum, seq) => (sum < limit ? sum + forget(sql, [seq]) : sum), 0)

/** None of them, where one is referred to. */
function forget(sql: Statements, seqs: readonly number[]): number {
  try {
    return sql.forget.run(JSON.stringify(seqs))
  } catch (error) {
    if (isOfOneRow(error)) return 0
    throw error
  }
}

function firstEnded(sql: Statements, until: Until, limit: number): readonly number[] {
  const ended = ENDED.flatMap((state) => sql.ended.rows(state, until(state), limit)) as (readonly [number, number])[] // the schema is strict
  return ended
    .sort(([a, at], [b, then]) => at - then || a - b)
    .slice(0, limit)
    .map(([seq]) => seq)
}

/** Pages that hold something. */
const bytes = (sql: Statements): number => Number(sql.pages.row()?.[0])

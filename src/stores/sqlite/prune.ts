import type { State } from '../../core/run-state.ts'
import type { WriteOf } from '../store.ts'
import type * as texts from './sql/rescues.ts'
import type { Prepared } from './statement.ts'

type Statements = Prepared<typeof texts>
const ENDED = ['succeeded', 'failed', 'canceled'] as const satisfies readonly State[]

/** Forgets ended runs, those that ended first before others: what is too old, then what is too much. Answers how many. */
export function prune(sql: Statements, { retention, limit }: WriteOf<'prune'>, now: number): number {
  const old = firstEnded(sql, (state) => now - retention[state], limit)
  if (old.length > 0) sql.forget.run(JSON.stringify(old))
  const most = retention.maxBytes
  if (most === null || bytes(sql) <= most) return old.length
  const young = firstEnded(sql, () => Number.MAX_SAFE_INTEGER, limit - old.length)
  // Each by itself: how much room that makes is known only afterwards.
  let count = 0
  while (count < young.length && bytes(sql) > most) count += sql.forget.run(JSON.stringify([young[count]]))
  return old.length + count
}

function firstEnded(
  sql: Statements,
  until: (state: (typeof ENDED)[number]) => number,
  limit: number,
): readonly number[] {
  const ended = ENDED.flatMap((state) => sql.ended.rows(state, until(state), limit)) as (readonly [number, number])[] // the schema is strict
  return ended
    .sort(([a, at], [b, then]) => at - then || a - b)
    .slice(0, limit)
    .map(([seq]) => seq)
}

/** Pages that hold something. */
const bytes = (sql: Statements): number => Number(sql.pages.row()?.[0])

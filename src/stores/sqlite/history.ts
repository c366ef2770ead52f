import { KEPT_ATTEMPTS, KEPT_LOGS } from '../../core/run-events.ts'
import type { Note } from '../store.ts'
import type * as ends from './sql/ends.ts'
import type * as writes from './sql/writes.ts'
import type { Prepared } from './statement.ts'

/** With an attempt that is let go go its lines. */
export function trimAttempts(sql: Prepared<typeof ends>, seq: number): void {
  const last = sql.surplus.row(seq, KEPT_ATTEMPTS)?.[0]
  if (last === undefined) return
  sql.dropAttempts.run(seq, last)
  sql.dropLogs.run(seq, last)
}

export function addLogs(
  sql: Prepared<typeof writes>,
  of: { readonly seq: number; readonly attempt: number },
  notes: readonly Note[],
): void {
  const lines = notes.flatMap((note) => (note.type === 'log' ? [note.data] : []))
  if (lines.length === 0) return
  const { seq, attempt } = of
  for (const line of lines) sql.addLog.run(seq, attempt, JSON.stringify(line))
  sql.trimLogs.run(seq, attempt, KEPT_LOGS)
}

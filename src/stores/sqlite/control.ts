import type { Moment } from '../../core/clock.ts'
import { canceledFailure } from '../../core/rescue.ts'
import { isDone } from '../../core/run-state.ts'
import type { AnswerOf, RunRecord, WriteOf } from '../store.ts'
import { KEPT_ATTEMPTS } from '../../core/run-events.ts'
import { trimAttempts } from './history.ts'
import { runOf } from './rows.ts'
import type * as ends from './sql/ends.ts'
import type * as texts from './sql/writes.ts'
import type { Prepared } from './statement.ts'

type Statements = Prepared<typeof texts & typeof ends>

/** An operator's word. */
export function control(sql: Statements, write: WriteOf<'control'>, moment: Moment): AnswerOf<'control'> {
  const before = find(sql, write.run)
  if (before === undefined) return 'unknown'
  const done = changed(sql, { write, before, moment })
  return { done, run: find(sql, write.run) ?? before }
}

function changed(
  sql: Statements,
  {
    write: { run, verb, reason },
    before,
    moment: { now, steady },
  }: { readonly write: WriteOf<'control'>; readonly before: RunRecord; readonly moment: Moment },
): boolean {
  if (verb === 'rerun') return rerun(sql, run, now)
  if (verb === 'remove') return isDone(before.state) && sql.remove.run(run) === 1
  if (isDone(before.state)) return false
  const error = JSON.stringify(canceledFailure(reason))
  if (sql.cancelWaiting.run(run, now, error, steady) === 0) sql.askCancel.run(run, steady, error)
  return true
}

function rerun(sql: Statements, run: string, now: number): boolean {
  const [seq, , attempt] = sql.stateOf.row(run) ?? []
  if (sql.keepEnd.run(run) === 1 && Number(attempt) > KEPT_ATTEMPTS) trimAttempts(sql, Number(seq))
  if (sql.rerun.run(run, now) === 0) return false
  sql.forgetWaits.run(Number(seq))
  return true
}

function find(sql: Statements, run: string): RunRecord | undefined {
  const row = sql.find.row(run)
  return row && runOf(row)
}

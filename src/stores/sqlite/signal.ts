import { isDone } from '../../core/run-state.ts'
import { MOST_SIGNALS, signalStep } from '../../core/waiting.ts'
import type { AnswerOf, WriteOf } from '../store.ts'
import { isState } from './rows.ts'
import type * as texts from './sql/writes.ts'
import type { Prepared } from './statement.ts'

type Statements = Prepared<typeof texts>

/** The next of its name is recorded; a run that waits for that name is due. */
export function signal(sql: Statements, { run, name, payload }: WriteOf<'signal'>, now: number): AnswerOf<'signal'> {
  const [seq, state] = sql.stateOf.row(run) ?? []
  if (seq === undefined) return 'unknown'
  if (!isState(state) || isDone(state)) return 'finished'
  const nth = 1 + highest(sql, Number(seq), name)
  if (nth > MOST_SIGNALS)
    return { refused: 'OFFSTAGE_OVERLOADED', message: `The run ${run} has ${MOST_SIGNALS} signals "${name}".` }
  sql.addSignal.run(Number(seq), signalStep({ name, nth }), `[${payload}]`)
  sql.wake.run(Number(seq), name, now)
  return 'done'
}

/** A name may hold what looks like a number's beginning: only digits are one. */
function highest(sql: Statements, seq: number, name: string): number {
  const before = signalStep({ name, nth: 0 }).slice(0, -1)
  const rests = sql.signalsOf.rows(seq, before, `${before}:`).map(([step]) => String(step).slice(before.length))
  return rests.filter((rest) => /^\d+$/.test(rest)).reduce((most, rest) => Math.max(most, Number(rest)), 0)
}

import type { RunId } from '../../core/claim.ts'
import type { Moment } from '../../core/clock.ts'
import {
  crashedFailure,
  fateAtDeadline,
  fateOf,
  poisonedFailure,
  timedOutFailure,
  type Fate,
  type Orphan,
  type OverdueFate,
} from '../../core/rescue.ts'
import type { RunError } from '../../core/run.ts'
import type { Rescued, WriteOf } from '../store.ts'
import { KEPT_ATTEMPTS } from '../../core/run-events.ts'
import { trimAttempts } from './history.ts'
import type { Row } from './rows.ts'
import { STAGES } from './sql/schema.ts'
import type * as ends from './sql/ends.ts'
import type * as claims from './sql/claims.ts'
import type * as texts from './sql/rescues.ts'
import type { Prepared } from './statement.ts'

export interface RescueParts {
  readonly sql: Prepared<typeof texts & typeof ends & typeof claims>
  readonly moment: Moment
}

/** A running run that is taken from whoever has it. */
interface Lost extends Orphan {
  readonly seq: number
  readonly id: RunId
  readonly attempt: number
}
/** What becomes of it. `grow`: by how much its crashes do; null: they are 0. */
interface Turn {
  readonly verb: (Fate | OverdueFate)['verb']
  readonly reason: Fate['reason']
  readonly error: RunError
  readonly grow: number | null
}

/** The dead's first, then those past their deadline, then those whose cancel was asked for too long ago. */
export function rescue(parts: RescueParts, { dead, limit }: WriteOf<'rescue'>): Rescued {
  const { sql, moment } = parts
  const marked = dead.filter((id) => sql.markDead.run(id) === 1)
  const waiting: RunId[] = []
  const ended: RunId[] = []
  for (const [found, turnOf] of [
    [sql.orphans, orphaned],
    [sql.overdue, late],
    [sql.cancelOverdue, canceled],
  ] as const) {
    const lost = found.rows(moment.steady, limit - waiting.length - ended.length).map(lostOf)
    for (const some of Map.groupBy(lost, (one) => JSON.stringify(turnOf(one))).values()) {
      const turn = turnOf(some[0] as Lost) // a group has one at least
      const isAgain = turn.verb === 'rescue' || turn.verb === 'retry'
      const list = isAgain ? waiting : ended
      list.push(...apply(parts, some, turn).map(({ id }) => id))
    }
  }
  sql.buryDead.run()
  return { dead: marked, waiting, ended }
}

function lostOf(row: Row): Lost {
  const [seq, id, attempt, crashes, asked, onCrash, tries, maxAttempts] = row as readonly [
    number,
    string,
    number,
    number,
    number,
    'retry' | 'fail',
    number,
    number,
  ] // the schema is strict
  return { seq, id, attempt, crashes, cancelRequested: asked === 1, onCrash, tries, maxAttempts }
}

function orphaned(lost: Lost): Turn {
  const { verb, reason } = fateOf({ ...lost, crashes: lost.crashes + 1 })
  return { verb, reason, error: reason === 'poisoned' ? poisonedFailure : crashedFailure, grow: 1 }
}

/** Nobody died of it: it is no crash. */
const late = (lost: Lost): Turn => ({ ...fateAtDeadline(lost), error: timedOutFailure, grow: null })

const canceled = (): Turn => ({ verb: 'cancel', reason: 'canceled', error: crashedFailure, grow: 0 })

const listOf = (lost: readonly Lost[]): string => JSON.stringify(lost.map(({ seq }) => seq))

/** Answers those that it was done to: what is damaged is set aside. */
function apply(parts: RescueParts, lost: readonly Lost[], turn: Turn): readonly Lost[] {
  const { sql } = parts
  const listed = listOf(lost)
  if (change(parts, lost, turn) === lost.length) return lost
  const passedOver = new Set(sql.passedOver.rows(listed).map(([seq]) => seq))
  sql.setAside.run(listed, STAGES.running, STAGES.running)
  return lost.filter(({ seq }) => !passedOver.has(seq))
}

function change({ sql, moment: { now } }: RescueParts, lost: readonly Lost[], turn: Turn): number {
  const { verb, reason, grow } = turn
  const listed = listOf(lost)
  const error = JSON.stringify(turn.error)
  if (verb === 'cancel') return sql.cancelListed.run(listed, now, grow)
  if (verb === 'fail') return sql.giveUp.run(listed, now, grow, error, reason)
  sql.keepAttempts.run(listed, now, error)
  for (const { seq, attempt } of lost) if (attempt > KEPT_ATTEMPTS) trimAttempts(sql, seq)
  return sql.waitAgain.run(listed, now, grow, error)
}

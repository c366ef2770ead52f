import type { Moment } from '../../core/clock.ts'
import type { RunFilter } from '../../core/runs.ts'
import type { Question, QuestionKind, QuestionOf, Questions, StepRecord, Unperformed } from '../store.ts'
import type { Connection } from './connection.ts'
import { kindOf, type Kind } from './kinds.ts'
import { onThread } from '../../core/version.ts'
import { attemptOf, canOf, eventOf, instanceOf, isState, logOf, performingOf, runOf } from './rows.ts'
import * as texts from './sql/questions.ts'
import { STAGES } from './sql/schema.ts'
import type { Prepared } from './statement.ts'

/** Answers questions from a connection that cannot write. */
export class Reader {
  readonly #connection: Connection
  readonly #sql: Prepared<typeof texts>
  readonly #time: () => Moment

  constructor(connection: Connection, time: () => Moment) {
    this.#connection = connection
    this.#sql = connection.prepare(texts)
    this.#time = time
  }

  answer(question: Question): Questions[QuestionKind][1] {
    switch (question.kind) {
      case 'find':
        return this.#find(question.run)
      case 'events':
        return this.#connection.snapshot(() => this.#events(question.run, question.after))
      case 'steps':
        return this.#steps(question.run)
      case 'instances':
        return this.#sql.instances.rows().map(instanceOf)
      case 'performing':
        return this.#sql.performing.rows(question.instance).map(performingOf)
      case 'details':
        return this.#connection.snapshot(() => this.#details(question.run))
      case 'list':
        return this.#sql.list.rows(...valuesOf(question.filter), question.before, question.limit).map(runOf)
      case 'tally':
        return this.#tally(question.filter)
      case 'overdue':
        return this.#sql.overdue.row(this.#time().steady)?.[0] === 1
      case 'unperformed':
        return this.#connection.snapshot(() => this.#unperformed(question))
    }
  }

  #find(run: string): Questions['find'][1] {
    const row = this.#sql.find.row(run)
    return row && runOf(row)
  }

  #steps(run: string): readonly StepRecord[] {
    return this.#sql.steps.rows(run).map(([name, result]) => ({ name, result }) as StepRecord) // the schema is strict
  }

  #events(run: string, after: number): Questions['events'][1] {
    const record = this.#find(run)
    const firstOutput = (this.#sql.firstOutput.row(run)?.[0] ?? null) as number | null // the schema is strict
    return record && { record, events: this.#sql.events.rows(run, after).map(eventOf), firstOutput }
  }

  #details(run: string): Questions['details'][1] {
    const record = this.#find(run)
    if (record === undefined) return undefined
    const input = (this.#sql.input.row(run)?.[0] ?? null) as string | null // the schema is strict
    const attempts = this.#sql.attempts.rows(run).map(attemptOf)
    return { record, input, attempts, steps: this.#steps(run), logs: this.#sql.logs.rows(run).map(logOf) }
  }

  /** A state that there is not is told as failed, as `runOf` does. */
  #tally(filter: RunFilter): Questions['tally'][1] {
    const counts = { waiting: 0, running: 0, succeeded: 0, failed: 0, canceled: 0 } satisfies Questions['tally'][1]
    for (const [state, count] of this.#sql.tally.rows(...valuesOf(filter)))
      counts[isState(state) ? state : 'failed'] += Number(count)
    return counts
  }

  /** The kinds that nobody performs are few; only their runs are looked at. */
  #unperformed({ for: patience }: QuestionOf<'unperformed'>): readonly Unperformed[] {
    const before = this.#time().now - patience
    const cans = this.#sql.registered.rows().map(canOf)
    const later = new Map(this.#sql.oldestLater.rows(before).map(([kind, at]) => [Number(kind), Number(at)]))
    const oldest = new Map<string, Unperformed>()
    for (const kind of this.#sql.kinds.rows().map(kindOf)) {
      if (cans.some((can) => onThread(kind, can) !== undefined)) continue
      const since = Math.min(this.#oldestReady(kind), later.get(kind.id) ?? Infinity)
      const { task, version } = kind
      const name = `${version} ${task}`
      if (since < before && since < (oldest.get(name)?.since ?? Infinity)) oldest.set(name, { task, version, since })
    }
    return [...oldest.values()].sort((a, b) => a.since - b.since)
  }

  #oldestReady({ id }: Kind): number {
    const stages = [STAGES.ready, STAGES.suspect]
    return Math.min(...stages.map((stage) => Number(this.#sql.oldestReady.row(stage, id)?.[0] ?? Infinity)))
  }
}

/** In the order of the statements. */
function valuesOf({ task, state, queue, owner, parent, tag }: RunFilter): readonly (string | null)[] {
  return [task, state, queue, owner, parent, tag].map((value) => value ?? null)
}

import type { Question, QuestionKind, Questions, StepRecord } from '../store.ts'
import type { Connection, Prepared } from './connection.ts'
import { eventOf, instanceOf, performingOf, runOf } from './rows.ts'
import * as texts from './sql/questions.ts'

/** Answers questions from a connection that cannot write. */
export class Reader {
  readonly #connection: Connection
  readonly #sql: Prepared<typeof texts>

  constructor(connection: Connection) {
    this.#connection = connection
    this.#sql = connection.prepare(texts)
  }

  answer(question: Question): Questions[QuestionKind][1] {
    switch (question.kind) {
      case 'find':
        return this.#find(question.run)
      case 'events':
        return this.#connection.snapshot(() => this.#events(question.run, question.after))
      case 'steps':
        return this.#sql.steps.rows(question.run).map(([name, result]) => ({ name, result }) as StepRecord) // the schema is strict
      case 'instances':
        return this.#sql.instances.rows().map(instanceOf)
      case 'performing':
        return this.#sql.performing.rows(question.instance).map(performingOf)
    }
  }

  #find(run: string): Questions['find'][1] {
    const row = this.#sql.find.row(run)
    return row && runOf(row)
  }

  #events(run: string, after: number): Questions['events'][1] {
    const record = this.#find(run)
    const firstOutput = (this.#sql.firstOutput.row(run)?.[0] ?? null) as number | null // the schema is strict
    return record && { record, events: this.#sql.events.rows(run, after).map(eventOf), firstOutput }
  }
}

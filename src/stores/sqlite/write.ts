import type { Claim, InstanceId, RunId } from '../../core/claim.ts'
import { verbOf, type Outcome } from '../../core/outcome.ts'
import { canceledFailure, crashedFailure, poisonedFailure } from '../../core/rescue.ts'
import { isDone, next, type State } from '../../core/run-state.ts'
import type { AnswerOf, Inserted, Settled, WriteOf } from '../store.ts'
import { claim } from './claim.ts'
import type { Connection, Prepared } from './connection.ts'
import { isOfOneRow, refusalOf } from './failures.ts'
import { runOf } from './rows.ts'
import * as texts from './sql/writes.ts'
import type { SentAnswer, SentInsert, SentWrite } from './wire.ts'

type Statements = Prepared<typeof texts>

/** Carries out batches of writes: nothing else alters the database. */
export class Writer {
  readonly #connection: Connection
  readonly #sql: Statements
  readonly #now: () => number

  constructor(connection: Connection, now: () => number) {
    this.#connection = connection
    this.#sql = connection.prepare(texts)
    this.#now = now
  }

  /** One transaction. A batch that one of its rows breaks is halved and repeated, down to the write that cannot be done. */
  write(batch: readonly SentWrite[]): readonly SentAnswer[] {
    try {
      return this.#connection.transaction(() => {
        const transition = new Transition(this.#sql, this.#now())
        return batch.map((write) => transition.apply(write))
      })
    } catch (error) {
      if (!isOfOneRow(error)) throw error
      if (batch.length === 1) return [refusalOf(error)]
      const half = batch.length >> 1
      return [...this.write(batch.slice(0, half)), ...this.write(batch.slice(half))]
    }
  }
}

/** The writes of one transaction, all at one moment. */
class Transition {
  readonly #sql: Statements
  readonly #now: number
  /** Asked once, until somebody joins, leaves or is marked dead. */
  readonly #alive = new Map<InstanceId, boolean>()

  constructor(sql: Statements, now: number) {
    this.#sql = sql
    this.#now = now
  }

  apply(write: SentWrite): SentAnswer {
    switch (write.kind) {
      case 'insert':
        return this.#insert(write)
      case 'claim':
        return this.#isAlive(write.instance) ? claim(this.#sql, write, this.#now) : 'dead'
      case 'settle':
        return this.#settle(write)
      case 'record':
        return this.#record(write)
      case 'note':
        return this.#note(write)
      case 'control':
        return this.#cancel(write)
      case 'presence':
        return this.#presence(write)
      case 'rescue':
        return this.#rescue(write)
    }
  }

  #insert({ columns, delay, at, claimFor, by }: SentInsert): AnswerOf<'insert'> {
    if (by && !this.#isCurrent(by)) return 'fenced'
    const now = this.#now
    const dueAt = at ?? now + delay
    const holder = claimFor !== undefined && dueAt <= now && this.#isAlive(claimFor) ? claimFor : null
    if (this.#sql.insert.run(...columns, now, dueAt, holder) === 0) return this.#existing(columns[0], claimFor)
    return { disposition: 'created', createdAt: now, dueAt, claimed: holder !== null }
  }

  #existing(id: RunId, claimFor: InstanceId | undefined): Inserted {
    const row = this.#sql.existing.row(id, claimFor ?? null)
    const [createdAt, dueAt, claimed] = row as readonly [number, number, number] // the conflict was with it
    return { disposition: 'existing', createdAt, dueAt, claimed: claimed === 1 }
  }

  /** Where nothing was left: fenced, or cancel was requested and this is no success. */
  #settle({ claim: { run, attempt }, outcome }: WriteOf<'settle'>): Settled | 'fenced' {
    const now = this.#now
    if (this.#leave(run, attempt, outcome) === 1)
      return { state: next('running', verbOf(outcome)), at: outcome.kind === 'retry' ? now + outcome.after : now }
    return this.#sql.cancelAsAsked.run(run, attempt, now) === 1
      ? { state: next('running', 'cancel'), at: now }
      : 'fenced'
  }

  #leave(run: RunId, attempt: number, outcome: Outcome<string | null>): number {
    const now = this.#now
    switch (outcome.kind) {
      case 'succeeded':
        return this.#sql.succeed.run(run, attempt, now, outcome.result)
      case 'failed':
        return this.#sql.fail.run(run, attempt, now, outcome.reason, JSON.stringify(outcome.error))
      case 'retry':
        return this.#sql.retry.run(run, attempt, now, now + outcome.after, JSON.stringify(outcome.error))
      case 'released':
        return this.#sql.release.run(run, attempt, now)
      case 'canceled':
        return this.#sql.cancel.run(run, attempt, now, JSON.stringify(outcome.error))
    }
  }

  #record({ claim: { run, attempt }, step }: WriteOf<'record'>): 'done' | 'fenced' {
    const recorded = this.#sql.recordStep.run(run, attempt, step.name, step.result)
    return recorded === 1 || this.#isCurrent({ run, attempt }) ? 'done' : 'fenced'
  }

  #note({ claim: { run, attempt }, notes }: WriteOf<'note'>): 'done' | 'fenced' {
    const rows = notes.map(({ type, data }) => [type, type === 'progress' ? JSON.stringify(data) : data] as const)
    const progress = rows.findLast(([type]) => type === 'progress')?.[1] ?? null
    const noted = this.#sql.note.row(run, attempt, notes.length, progress)
    if (!noted) return 'fenced'
    const [seq, last, trimmed] = noted as readonly [number, number, number] // the schema is strict
    for (const [index, row] of rows.entries()) this.#sql.addEvent.run(seq, last - notes.length + 1 + index, ...row)
    if (trimmed > 0) this.#sql.trimEvents.run(seq, trimmed)
    return 'done'
  }

  #cancel({ run, reason }: WriteOf<'control'>): AnswerOf<'control'> {
    const error = JSON.stringify(canceledFailure(reason))
    if (this.#sql.cancelWaiting.run(run, this.#now, error) === 0) this.#sql.askCancel.run(run, this.#now, error)
    const row = this.#sql.find.row(run)
    return row === undefined ? 'unknown' : runOf(row)
  }

  #presence({ instance, change }: WriteOf<'presence'>): AnswerOf<'presence'> {
    this.#alive.clear()
    const { id, pid, boot, began, pidNamespace } = instance
    if (change === 'leaves') this.#sql.leave.run(id)
    else this.#sql.join.run(id, pid, boot, began, pidNamespace)
    return change === 'leaves' ? 'gone' : this.#isAlive(id) ? 'alive' : 'dead'
  }

  #rescue({ dead, limit }: WriteOf<'rescue'>): AnswerOf<'rescue'> {
    this.#alive.clear()
    for (const id of dead) this.#sql.markDead.run(id)
    const failures = [poisonedFailure, crashedFailure].map((failure) => JSON.stringify(failure))
    const taken = this.#sql.takeBack.rows(this.#now, limit, ...failures)
    const forced = this.#sql.forceCancel.rows(this.#now, limit - taken.length)
    this.#sql.buryDead.run()
    const runs = [...taken, ...forced].map((row) => row as readonly [RunId, State]) // the schema is strict
    const { waiting = [], ended = [] } = Object.groupBy(runs, ([, state]) => (isDone(state) ? 'ended' : 'waiting'))
    return { waiting: waiting.map(([id]) => id), ended: ended.map(([id]) => id) }
  }

  #isCurrent({ run, attempt }: Claim): boolean {
    return this.#sql.current.row(run, attempt) !== undefined
  }

  #isAlive(instance: InstanceId): boolean {
    const known = this.#alive.get(instance) ?? this.#sql.isAlive.row(instance) !== undefined
    this.#alive.set(instance, known)
    return known
  }
}

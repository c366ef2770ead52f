import type { Claim, InstanceId } from '../../core/claim.ts'
import type { Moment } from '../../core/clock.ts'
import { released } from '../../core/outcome.ts'
import type { AnswerOf, Note, WriteOf } from '../store.ts'
import { claim, nothingFor } from './claim.ts'
import type { Connection } from './connection.ts'
import { control } from './control.ts'
import { isOfOneRow, refusalOf } from './failures.ts'
import { addLogs } from './history.ts'
import { Inserter } from './insert.ts'
import { prune } from './prune.ts'
import { rescue } from './rescue.ts'
import { settle } from './settle.ts'
import { signal } from './signal.ts'
import * as claims from './sql/claims.ts'
import * as ends from './sql/ends.ts'
import * as rescues from './sql/rescues.ts'
import * as writes from './sql/writes.ts'
import type { Prepared } from './statement.ts'
import type { SentAnswer, SentInsert, SentSettle, SentWrite } from './wire.ts'

const TEXTS = { ...writes, ...ends, ...claims, ...rescues }

/** What every transition stands on. */
interface Parts {
  readonly connection: Connection
  readonly sql: Prepared<typeof TEXTS>
  readonly inserter: Inserter
}

/** Carries out batches of writes: nothing else alters the database. */
export class Writer {
  readonly #parts: Parts
  readonly #time: () => Moment

  /** `time`: the store's. */
  constructor(connection: Connection, time: () => Moment) {
    this.#parts = { connection, sql: connection.prepare(TEXTS), inserter: new Inserter(connection.database) }
    this.#time = time
  }

  /** One transaction. A batch that one of its rows breaks is halved and repeated, down to the write that cannot be done. */
  write(batch: readonly SentWrite[]): readonly SentAnswer[] {
    const idle = this.#idle(batch)
    if (idle !== undefined) return [idle]
    try {
      return this.#parts.connection.transaction(() => {
        const transition = new Transition(this.#parts, this.#time())
        return batch.map((write) => transition.apply(write))
      })
    } catch (error) {
      this.#parts.inserter.forget()
      if (!isOfOneRow(error)) throw error
      if (batch.length === 1) return [refusalOf(error)]
      const half = batch.length >> 1
      return [...this.write(batch.slice(0, half)), ...this.write(batch.slice(half))]
    }
  }

  /** A claim alone, of a living instance, that nothing waits for: it alters nothing. */
  #idle([write, ...others]: readonly SentWrite[]): SentAnswer | undefined {
    if (write?.kind !== 'claim' || others.length > 0) return undefined
    const { sql, inserter } = this.#parts
    if (sql.isAlive.row(write.instance) === undefined) return undefined
    return nothingFor({ sql, kinds: inserter.kinds, moment: this.#time() })
  }
}

/** The writes of one transaction, all at one moment. */
class Transition {
  readonly #parts: Parts
  readonly #sql: Parts['sql']
  readonly #moment: Moment
  /** Asked once, until somebody joins, leaves or is marked dead. */
  readonly #alive = new Map<InstanceId, boolean>()

  constructor(parts: Parts, moment: Moment) {
    this.#parts = parts
    this.#sql = parts.sql
    this.#moment = moment
  }

  apply(write: SentWrite): SentAnswer {
    const [sql, moment] = [this.#sql, this.#moment]
    switch (write.kind) {
      case 'insert':
        return this.#insert(write)
      case 'claim':
        return this.#claim(write)
      case 'settle':
        return this.#settle(write)
      case 'record':
        return this.#record(write)
      case 'note':
        return this.#note(write)
      case 'signal':
        return signal(sql, write, moment.now)
      case 'control':
        return control(sql, write, moment)
      case 'presence':
        return this.#presence(write)
      case 'rescue':
        this.#alive.clear()
        return rescue({ sql, moment }, write)
      case 'prune':
        return { removed: prune(sql, write, moment.now) }
    }
  }

  #insert(write: SentInsert): AnswerOf<'insert'> {
    const { by, claimFor, delay, at } = write
    if (by && this.#sql.current.row(by.run, by.attempt) === undefined) return 'fenced'
    const { now } = this.#moment
    const isDue = (at ?? now + delay) <= now
    const holder = claimFor !== undefined && isDue && this.#isAlive(claimFor) ? claimFor : null
    return this.#parts.inserter.insert(write, this.#moment, holder)
  }

  #claim(write: WriteOf<'claim'>): SentAnswer {
    const { kinds } = this.#parts.inserter
    return this.#isAlive(write.instance) ? claim({ sql: this.#sql, kinds, moment: this.#moment }, write) : 'dead'
  }

  #settle(write: SentSettle): AnswerOf<'settle'> {
    return settle({ sql: this.#sql, now: this.#moment.now, database: this.#parts.connection.database }, write)
  }

  #record({ claim: { run, attempt }, step }: WriteOf<'record'>): AnswerOf<'record'> {
    if (this.#sql.recordStep.run(run, attempt, step.name, step.result) === 1) return 'done'
    const known = this.#sql.stepOf.row(run, attempt, step.name)
    return known === undefined ? 'fenced' : { kept: known[0] as string | null } // the schema is strict
  }

  #note({ claim, notes }: WriteOf<'note'>): AnswerOf<'note'> {
    const events = notes.flatMap((note) => (note.type === 'log' ? [] : [rowOf(note)]))
    const seq = events.length === 0 ? this.#sql.current.row(claim.run, claim.attempt)?.[0] : this.#tell(claim, events)
    if (seq === undefined) return 'fenced'
    addLogs(this.#sql, { seq: Number(seq), attempt: claim.attempt }, notes)
    return 'done'
  }

  /** Answers the run's number in its table; undefined: fenced. */
  #tell({ run, attempt }: Claim, events: readonly EventRow[]): number | undefined {
    const progress = events.findLast(([type]) => type === 'progress')?.[1] ?? null
    const noted = this.#sql.note.row(run, attempt, events.length, progress)
    if (!noted) return undefined
    const [seq, last, trimmed] = noted as readonly [number, number, number] // the schema is strict
    for (const [index, row] of events.entries()) this.#sql.addEvent.run(seq, last - events.length + 1 + index, ...row)
    if (trimmed > 0) this.#sql.trimEvents.run(seq, trimmed)
    return seq
  }

  #presence({ instance, change, can }: WriteOf<'presence'>): AnswerOf<'presence'> {
    this.#alive.clear()
    const { id, pid, boot, began, pidNamespace } = instance
    if (change === 'leaves') return this.#leave(id)
    this.#sql.join.run(id, pid, boot, began, pidNamespace, JSON.stringify(can))
    return this.#isAlive(id) ? 'alive' : 'dead'
  }

  #leave(instance: InstanceId): 'gone' {
    for (const [run, attempt] of this.#sql.heldBy.rows(instance) as (readonly [string, number])[])
      // the schema is strict
      this.#settle({ kind: 'settle', claim: { run, attempt }, outcome: released })
    this.#sql.leave.run(instance)
    return 'gone'
  }

  #isAlive(instance: InstanceId): boolean {
    const known = this.#alive.get(instance) ?? this.#sql.isAlive.row(instance) !== undefined
    this.#alive.set(instance, known)
    return known
  }
}

type EventRow = readonly [type: string, data: string]
const rowOf = (note: Exclude<Note, { type: 'log' }>): EventRow => [
  note.type,
  note.type === 'progress' ? JSON.stringify(note.data) : note.data,
]

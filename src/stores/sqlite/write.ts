import type { Claim, InstanceId, RunId } from '../../core/claim.ts'
import { canceledFailure, crashedFailure, poisonedFailure } from '../../core/rescue.ts'
import { isDone, type State } from '../../core/run-state.ts'
import type { Answer, AnswerOf, ClaimedRun, Inserted, Note, Places, Settled, Version, Write, WriteOf } from '../store.ts'
import type { Connection, Statement } from './connection.ts'
import { isOfOneRow, refusalOf } from './failures.ts'
import { runOf, type Row } from './rows.ts'
import { STAGES } from './sql/schema.ts'
import * as sql from './sql/writes.ts'

type Statements = { readonly [Name in keyof typeof sql]: Statement }

/** Carries out batches of writes: nothing else alters the database. */
export class Writer {
  readonly #connection: Connection
  readonly #statements: Statements
  readonly #now: () => number

  constructor(connection: Connection, now: () => number) {
    const prepared = Object.entries(sql).map(([name, text]) => [name, connection.prepare(text)])
    this.#connection = connection
    this.#statements = Object.fromEntries(prepared) as Statements // fromEntries forgets the names
    this.#now = now
  }

  /** One transaction. A batch that one of its rows breaks is halved and repeated, down to the write that cannot be done. */
  write(batch: readonly Write[]): readonly Answer[] {
    try {
      return this.#connection.transaction(() => {
        const transition = new Transition(this.#statements, this.#now())
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

/** The writes of one transaction, at one moment. */
class Transition {
  readonly #sql: Statements
  readonly #now: number
  /** Asked once a transaction, as long as nobody joins, leaves or dies in it. */
  readonly #alive = new Map<InstanceId, boolean>()

  constructor(statements: Statements, now: number) {
    this.#sql = statements
    this.#now = now
  }

  apply(write: Write): Answer {
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
      case 'control':
        return this.#cancel(write)
      case 'presence':
        return this.#presence(write)
      case 'rescue':
        return this.#rescue(write)
    }
  }

  #insert({ run, claimFor, by }: WriteOf<'insert'>): AnswerOf<'insert'> {
    if (by && !this.#isCurrent(by)) return 'fenced'
    const now = this.#now
    const dueAt = run.at ?? now + run.delay
    const holder = claimFor !== undefined && dueAt <= now && this.#isAlive(claimFor) ? claimFor : null
    const { id, task, version, thread, queue, priority, maxAttempts, timeout, onCrash, owner, parent, input } = run
    const policy = [task, version, Number(thread), queue, priority, maxAttempts, timeout, onCrash] as const
    const tags = run.tags.length === 0 ? '[]' : JSON.stringify(run.tags)
    const created = this.#sql.insert.run(id, ...policy, owner, tags, parent, input, now, dueAt, holder)
    if (created === 1) return { disposition: 'created', createdAt: now, dueAt, claimed: holder !== null }
    return this.#existing(id, claimFor)
  }

  #existing(id: RunId, claimFor: InstanceId | undefined): Inserted {
    const [createdAt, dueAt, claimed] = this.#sql.existing.row(id, claimFor ?? null) as readonly [number, number, number] // it conflicted, so it is there
    return { disposition: 'existing', createdAt, dueAt, claimed: claimed === 1 }
  }

  #claim({ instance, can, places }: WriteOf<'claim'>): AnswerOf<'claim'> {
    if (!this.#isAlive(instance)) return 'dead'
    const next = this.#promote()
    const { taken, left } = this.#choose(instance, can, places)
    if (taken.length === 0) return { claimed: [], left, next }
    const rows = this.#sql.claim.rows(instance, this.#now, JSON.stringify(taken))
    // RETURNING has no order of its own.
    const bySeq = new Map(rows.map((row) => [row[29], row]))
    const claimed = taken.map((seq): ClaimedRun => {
      const row = bySeq.get(seq) as Row // it was waiting in this same transaction
      return { ...runOf(row), input: row[28] as string | null } // the schema is strict
    })
    return { claimed, left, next }
  }

  /** Those that have become due are ready from now on; answers how long until the next one is. */
  #promote(): number | null {
    const due = this.#nextDue()
    if (due === null || due > this.#now) return due === null ? null : due - this.#now
    this.#sql.promote.run(this.#now)
    const next = this.#nextDue()
    return next === null ? null : Math.max(0, next - this.#now)
  }

  #nextDue(): number | null {
    return (this.#sql.nextDue.row()?.[0] ?? null) as number | null // the schema is strict
  }

  #choose(instance: InstanceId, can: readonly Version[], places: Places): { taken: readonly number[]; left: number | null } {
    const candidates = this.#candidates(can, places)
    let suspects = candidates.some(isSuspect) && this.#sql.holdsSuspect.row(instance) === undefined ? 1 : 0
    let { all, threads } = places
    let left: number | null = null
    const taken: number[] = []
    for (const candidate of candidates) {
      if (isSuspect(candidate) && suspects === 0) continue
      if (all <= 0 || (isThread(candidate) && threads <= 0)) {
        left ??= -candidate.rank
        continue
      }
      all--
      if (isThread(candidate)) threads--
      if (isSuspect(candidate)) suspects--
      taken.push(candidate.seq)
    }
    return { taken, left }
  }
}

import type { DatabaseSync } from 'node:sqlite'
import type { InstanceId, RunId } from '../../core/claim.ts'
import type { Moment } from '../../core/clock.ts'
import { IDEMPOTENCY_FOR } from '../../core/idempotency.ts'
import type { Inserted, Refused } from '../store.ts'
import { Kinds } from './kinds.ts'
import * as texts from './sql/inserts.ts'
import { prepared, type Prepared } from './statement.ts'
import { FINGERPRINT, KEY, OWNER, type SentInsert } from './wire.ts'

const MISMATCH: Refused = {
  refused: 'OFFSTAGE_IDEMPOTENCY_MISMATCH',
  message: 'Another start of this task and owner has the idempotency key, with another input.',
}

const NOT_WHOLE = 'The run holds a number that is not whole.'

function isWhole(columns: SentInsert['columns'], delay: number, at: number | null): boolean {
  const [, , version, , , priority, maxAttempts, timeout] = columns
  return [version, priority, maxAttempts, delay, at ?? 0, timeout ?? 0].every(Number.isSafeInteger)
}

/** New runs, on whatever connection: the store's own, or a caller's within his transaction. */
export class Inserter {
  readonly kinds: Kinds
  readonly #sql: Prepared<typeof texts>

  constructor(database: DatabaseSync) {
    this.kinds = new Kinds(database)
    this.#sql = prepared(database, texts)
  }

  /** `holder`: born running, claimed by that instance. Throws what SQLite says of a row that it does not take. */
  insert(
    { columns, delay, at, claimFor }: SentInsert,
    { now, steady }: Moment,
    holder: InstanceId | null,
  ): Inserted | Refused {
    if (!isWhole(columns, delay, at)) return { refused: 'OFFSTAGE_BAD_OPTION', message: NOT_WHOLE }
    const known = columns[KEY] === null ? undefined : this.#known(columns, now, claimFor)
    if (known !== undefined) return known
    const [id, task, version, thread] = columns
    const kind = this.kinds.idOf(task, version, thread)
    const dueAt = at ?? now + delay
    const isNew = this.#sql.insert.run(...columns, kind, now, dueAt, holder, steady) === 1
    const created = { id, disposition: 'created', createdAt: now, dueAt, claimed: holder !== null } as const
    return isNew ? created : (this.#existing(id, claimFor) ?? created)
  }

  /** What was remembered of the database may be gone: after a rollback. */
  forget(): void {
    this.kinds.forget()
  }

  /** By its id, which goes first, or by its key; one that is too old for its key loses it. */
  #known(
    columns: SentInsert['columns'],
    now: number,
    claimFor: InstanceId | undefined,
  ): Inserted | Refused | undefined {
    const [own, task] = columns
    const same = this.#existing(own, claimFor)
    if (same !== undefined) return same
    const row = this.#sql.keyed.row(task, columns[OWNER], columns[KEY])
    if (row === undefined) return undefined
    const [id, createdAt, dueAt, fingerprint] = row as readonly [RunId, number, number, string] // the schema is strict
    if (now - createdAt >= IDEMPOTENCY_FOR) {
      this.#sql.loseKey.run(id)
      return undefined
    }
    if (fingerprint !== columns[FINGERPRINT]) return MISMATCH
    return { id, disposition: 'existing', createdAt, dueAt, claimed: false }
  }

  #existing(id: RunId, claimFor: InstanceId | undefined): Inserted | undefined {
    const row = this.#sql.existing.row(id, claimFor ?? null)
    if (row === undefined) return undefined
    const [createdAt, dueAt, claimed] = row as readonly [number, number, number] // the schema is strict
    return { id, disposition: 'existing', createdAt, dueAt, claimed: claimed === 1 }
  }
}

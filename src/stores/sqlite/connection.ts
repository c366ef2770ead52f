import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { OffstageError } from '../../core/errors.ts'
import type { Row } from './rows.ts'
import { APPLICATION_ID, MIGRATIONS } from './sql/schema.ts'
import * as sql from './sql/settings.ts'

/** Older ones may corrupt a file that two connections write (https://sqlite.org/wal.html#walresetbug). */
const LIBRARY = [3, 51, 3]

/** A prepared statement, kept for as long as its connection: rows are arrays, values go in by position. */
export class Statement {
  readonly #statement: StatementSync

  constructor(statement: StatementSync) {
    statement.setReturnArrays(true)
    this.#statement = statement
  }

  /** How many rows it changed. */
  run(...values: readonly SQLInputValue[]): number {
    return Number(this.#statement.run(...values).changes)
  }

  row(...values: readonly SQLInputValue[]): Row | undefined {
    return this.#statement.get(...values) as unknown as Row | undefined // an array: see above
  }

  rows(...values: readonly SQLInputValue[]): readonly Row[] {
    return this.#statement.all(...values) as unknown as readonly Row[] // arrays: see above
  }
}

/** Statements under the names of their texts. */
export type Prepared<Texts> = { readonly [Name in keyof Texts]: Statement }

export interface Opening {
  readonly path: string
  readonly readOnly: boolean
}

/** The database, open in the settings that durability needs and at this version's schema; or an error, and nothing was changed. */
export class Connection {
  readonly #database: DatabaseSync

  constructor({ path, readOnly }: Opening) {
    this.#database = new DatabaseSync(path, { readOnly, timeout: 5_000 })
    try {
      this.#checkLibrary()
      // One snapshot: another process may migrate between two questions.
      this.snapshot(() => this.#checkOwner(path))
      const settings = readOnly ? sql.SETTINGS : [sql.JOURNAL, ...sql.SETTINGS]
      for (const { set, read, value } of settings) {
        this.#database.exec(set)
        if (this.#value(read) !== value) throw unsafe(`${read} answers ${this.#value(read)} where ${value} was set`)
      }
      if (!readOnly) this.#migrate(path)
    } catch (error) {
      this.#database.close()
      throw error
    }
  }

  prepare<Texts extends object>(texts: Texts): Prepared<Texts> {
    const prepared = Object.entries(texts).map(([name, text]) => [name, new Statement(this.#database.prepare(text))])
    return Object.fromEntries(prepared) as Prepared<Texts> // fromEntries forgets the names
  }

  /** All of it or nothing; once it has answered, it is on disk. */
  transaction<T>(work: () => T): T {
    return this.#within(sql.BEGIN, work)
  }

  /** Several questions to one state of the database. */
  snapshot<T>(work: () => T): T {
    return this.#within(sql.SNAPSHOT, work)
  }

  close(): void {
    this.#database.close()
  }

  #within<T>(begin: string, work: () => T): T {
    this.#database.exec(begin)
    try {
      const answer = work()
      this.#database.exec(sql.COMMIT)
      return answer
    } catch (error) {
      // SQLite may have rolled it back already, as it does on a full disk.
      if (this.#database.isTransaction) this.#database.exec(sql.ROLLBACK)
      throw error
    }
  }

  #value(text: string, ...values: readonly SQLInputValue[]): string | number | null | undefined {
    return new Statement(this.#database.prepare(text)).row(...values)?.[0]
  }

  #checkLibrary(): void {
    const version = String(this.#value(sql.LIBRARY))
    const parts = version.split('.').map(Number)
    const first = LIBRARY.findIndex((part, index) => parts[index] !== part)
    if (first !== -1 && (parts[first] ?? 0) < (LIBRARY[first] ?? 0)) throw unsafe(`its SQLite is ${version}`)
    if (this.#value(sql.ECHO, 'a\0b') !== 'a\0b') throw unsafe('its node:sqlite cuts a text at a NUL')
  }

  /** Answers the schema's version: 0 for an empty file. */
  #checkOwner(path: string): number {
    const version = Number(this.#value(sql.SCHEMA_VERSION))
    const isOurs = this.#value(sql.APPLICATION) === APPLICATION_ID
    if (!isOurs && this.#value(sql.TABLES) !== 0)
      throw new OffstageError(
        'OFFSTAGE_STORE_UNAVAILABLE',
        `The database ${path} holds something else. Nothing was changed: give Offstage a file of its own.`,
      )
    if (isOurs && version > MIGRATIONS.length)
      throw new OffstageError(
        'OFFSTAGE_STORE_VERSION',
        `The store ${path} has version ${version}, this Offstage knows ${MIGRATIONS.length}. It was not touched: deploy the newer version.`,
      )
    return isOurs ? version : 0
  }

  /** In one transaction, its version read anew within: of two processes that start at once, the second finds nothing to do. */
  #migrate(path: string): void {
    if (this.snapshot(() => this.#checkOwner(path)) === MIGRATIONS.length) return
    this.transaction(() => {
      for (const migration of MIGRATIONS.slice(this.#checkOwner(path))) this.#database.exec(migration)
      this.#database.exec(sql.stamp(MIGRATIONS.length))
    })
  }
}

const unsafe = (what: string): OffstageError =>
  new OffstageError(
    'OFFSTAGE_STORE_UNSAFE',
    `A durable store would not be safe on Node ${process.versions.node}: ${what}. Use Node 24.16 or later.`,
  )

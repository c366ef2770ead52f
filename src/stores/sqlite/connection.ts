import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { OffstageError } from '../../core/errors.ts'
import { MIGRATIONS } from './sql/schema.ts'
import * as sql from './sql/settings.ts'
import { prepared, Statement, type Prepared } from './statement.ts'
import { WriteLock } from './write-lock.ts'

/** Older ones may corrupt a file that two connections write (https://sqlite.org/wal.html#walresetbug). */
const LIBRARY = [3, 51, 3]

export interface Opening {
  readonly path: string
  readonly readOnly: boolean
  /** Those of this version, where no others are named. */
  readonly migrations?: readonly string[]
}

/** The database, open in the settings that durability needs and at this version's schema; or an error, and nothing was changed. */
export class Connection {
  readonly database: DatabaseSync
  readonly #migrations: readonly string[]
  readonly #lock: WriteLock | undefined

  constructor({ path, readOnly, migrations = MIGRATIONS }: Opening) {
    this.#migrations = migrations
    this.database = new DatabaseSync(path, { readOnly, timeout: 5_000 })
    try {
      this.#checkLibrary()
      // One snapshot: another process may migrate between two questions.
      this.snapshot(() => this.#version(path))
      const settings = readOnly ? sql.SETTINGS : [sql.JOURNAL, ...sql.SETTINGS]
      for (const { set, read, value } of settings) {
        this.database.exec(set)
        if (this.#value(read) !== value) throw unsafe(`${read} answers ${this.#value(read)} where ${value} was set`)
      }
      this.#lock = readOnly ? undefined : new WriteLock(this.database)
      if (!readOnly) this.#migrate(path)
    } catch (error) {
      this.database.close()
      throw error
    }
  }

  prepare<Texts extends object>(texts: Texts): Prepared<Texts> {
    return prepared(this.database, texts)
  }

  /** All of it or nothing; once it has answered, it is on disk. */
  transaction<T>(work: () => T): T {
    return this.#within(() => this.#lock?.take(), work)
  }

  /** Several questions to one state of the database. */
  snapshot<T>(work: () => T): T {
    return this.#within(() => this.database.exec(sql.SNAPSHOT), work)
  }

  close(): void {
    this.database.close()
  }

  #within<T>(begin: () => void, work: () => T): T {
    begin()
    try {
      const answer = work()
      this.database.exec(sql.COMMIT)
      return answer
    } catch (error) {
      // SQLite may have rolled it back already, as it does on a full disk.
      if (this.database.isTransaction) this.database.exec(sql.ROLLBACK)
      throw error
    }
  }

  #value(text: string, ...values: readonly SQLInputValue[]): string | number | null | undefined {
    return new Statement(this.database.prepare(text)).row(...values)?.[0]
  }

  #checkLibrary(): void {
    const version = String(this.#value(sql.LIBRARY))
    const parts = version.split('.').map(Number)
    const first = LIBRARY.findIndex((part, index) => parts[index] !== part)
    if (first !== -1 && (parts[first] ?? 0) < (LIBRARY[first] ?? 0)) throw unsafe(`its SQLite is ${version}`)
    if (this.#value(sql.ECHO, 'a\0b') !== 'a\0b') throw unsafe('its node:sqlite cuts a text at a NUL')
  }

  /** The schema's; 0 where there is none of ours. What else the file holds is its owner's. */
  #version(path: string): number {
    const known = this.#migrations.length
    if (this.#value(sql.HAS_META) === 0) {
      if (this.#value(sql.APPLICATION) !== sql.UNRELEASED) return 0
      throw wrongVersion(path, 'was made before the first release', 'name another file, or remove it')
    }
    const version = Number(this.#value(sql.SCHEMA_VERSION))
    if (version <= known) return version
    throw wrongVersion(path, `has version ${version}, this Offstage knows ${known}`, 'deploy the newer version')
  }

  /** In one transaction, its version read anew within: of two processes that start at once, the second finds nothing to do. */
  #migrate(path: string): void {
    const latest = this.#migrations.length
    if (this.snapshot(() => this.#version(path)) === latest) return
    this.transaction(() => {
      for (const migration of this.#migrations.slice(this.#version(path))) this.database.exec(migration)
      this.database.exec(sql.stamp(latest))
    })
  }
}

const wrongVersion = (path: string, what: string, advice: string): OffstageError =>
  new OffstageError('OFFSTAGE_STORE_VERSION', `The store ${path} ${what}. It was not touched: ${advice}.`)

const unsafe = (what: string): OffstageError =>
  new OffstageError(
    'OFFSTAGE_STORE_UNSAFE',
    `A durable store would not be safe on Node ${process.versions.node}: ${what}. Use Node 24.16 or later.`,
  )

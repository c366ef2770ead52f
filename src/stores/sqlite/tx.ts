import { realpathSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { OffstageError } from '../../core/errors.ts'
import { isObject, refuse } from '../../core/options.ts'
import { safely } from '../../core/thrown.ts'
import type { Inserted, JoinedTx, NewRun, OwnTx, Refused, TxStatement, TxValue } from '../store.ts'
import { isOfOneRow, refusalOf, storeError } from './failures.ts'
import { Inserter } from './insert.ts'
import { HOW_TO_BEGIN, MEND_SYNCHRONOUS, SYNCHRONOUS } from './sql/others.ts'
import { RELEASE, ROLLBACK_TO, SAVEPOINT } from './sql/settings.ts'
import { prepared } from './statement.ts'
import { sentInsert } from './wire.ts'

/** Where a caller's transaction must be, and the store's now. */
export interface Place {
  readonly path: string
  readonly now: () => number
}

/** A connection of the caller's, within a transaction on this store's file; undefined: it is no connection. Throws where it is no safe one. */
export function joined(tx: unknown, place: Place): JoinedTx | undefined {
  if (!(tx instanceof DatabaseSync)) return isOfAnotherLibrary(tx) ? refuseLibrary() : undefined
  mustBeOn(tx, place.path)
  if (!tx.isTransaction)
    throw new OffstageError(
      'OFFSTAGE_NOT_A_TRANSACTION',
      `The connection given as \`tx\` is not within a transaction. ${HOW_TO_BEGIN}`,
    )
  mustWaitForFsync(tx)
  const insertNow = (run: NewRun): Inserted | Refused => insertOn(tx, run, place)
  return { insert: async (run) => insertNow(run), insertNow }
}

/** Two libraries in one process do not see each other's locks: both write, and one of the commits is gone. */
const isOfAnotherLibrary = (tx: unknown): boolean =>
  isObject(tx) && typeof tx['prepare'] === 'function' && typeof tx['exec'] === 'function'

function refuseLibrary(): never {
  throw new OffstageError(
    'OFFSTAGE_STORE_UNSAFE',
    'The connection given as `tx` is of another SQLite library. Two of them in one process do not see each other’s locks, and commits would be lost: use `DatabaseSync` of `node:sqlite`.',
  )
}

function mustBeOn(tx: DatabaseSync, path: string): void {
  const location = tx.isOpen ? tx.location() : null
  if (location !== null && isSameFile(location, path)) return
  const instead = !tx.isOpen ? 'is closed' : location === null ? 'is in memory' : `is open on ${location}`
  throw new OffstageError(
    'OFFSTAGE_NOT_A_TRANSACTION',
    `The connection given as \`tx\` ${instead}. It must be open on the store’s own file, ${path}.`,
  )
}

/** By name, links followed, and neither is opened. Not by inode: a second hard link has a -wal of its own, and the two would ruin the file. */
function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => safely(() => realpathSync.native(path)))
  return a !== undefined && a === b
}

const FULL = 2

/** Asked anew each time: a prepared pragma answers what was so when it was prepared. */
function mustWaitForFsync(tx: DatabaseSync): void {
  const synchronous = Number(prepared(tx, { SYNCHRONOUS }).SYNCHRONOUS.row()?.[0])
  if (synchronous >= FULL) return
  throw new OffstageError(
    'OFFSTAGE_STORE_UNSAFE',
    `The connection given as \`tx\` does not wait for the disk (synchronous is ${synchronous}), so a run that was started could be lost. Before the transaction begins: database.exec('${MEND_SYNCHRONOUS}')`,
  )
}

/** Statements are prepared once for each connection. */
const inserters = new WeakMap<DatabaseSync, Inserter>()

/** All of it or nothing, so that the caller may go on after a start that failed; unless SQLite itself has rolled everything back. */
function insertOn(tx: DatabaseSync, run: NewRun, { path, now }: Place): Inserted | Refused {
  try {
    const inserter = inserterOf(tx)
    tx.exec(SAVEPOINT)
    try {
      const answer = inserter.insert(sentInsert({ kind: 'insert', run }), { now: now(), steady: 0 }, null) // nobody has it: it has no deadline
      tx.exec(RELEASE)
      return answer
    } catch (error) {
      if (tx.isTransaction) tx.exec(ROLLBACK_TO)
      throw error
    }
  } catch (error) {
    if (inserters.delete(tx) && isFinalized(error)) return insertOn(tx, run, { path, now })
    if (isOfOneRow(error)) return refusalOf(error)
    throw joinError(error, path)
  }
}

/** The connection was closed and opened again since its statements were prepared. */
const isFinalized = (error: unknown): boolean => isObject(error) && error['code'] === 'ERR_INVALID_STATE'

function inserterOf(tx: DatabaseSync): Inserter {
  const inserter = inserters.get(tx) ?? new Inserter(tx)
  inserters.set(tx, inserter)
  inserter.forget() // what it knew of a transaction that may have been rolled back
  return inserter
}

function joinError(error: unknown, path: string): OffstageError {
  const known = storeError(error, path)
  if (known.code !== 'OFFSTAGE_STORE_BUSY') return known
  return new OffstageError(
    'OFFSTAGE_STORE_BUSY',
    `The store ${path}: another connection writes, or has written since this transaction began to read. Nothing was started. ${HOW_TO_BEGIN} Give the connection a \`timeout\`.`,
    { cause: error },
  )
}

/** Says what is wrong with a statement; null: nothing is. */
type Check = (text: string, count: number) => Promise<string | null>

/** `ctx.tx`: what an attempt writes is kept, and written with its run's end. */
export class OwnStatements implements OwnTx {
  readonly #check: Check
  #kept: readonly TxStatement[] = []

  constructor(check: Check) {
    this.#check = check
  }

  get statements(): readonly TxStatement[] {
    return this.#kept
  }

  /**
   * Rejects what reads, what SQLite cannot prepare, and what would end the transaction. A table must be there before the attempt:
   * one that an earlier statement of this transaction makes is not known yet.
   */
  async query(text: string, values: readonly unknown[] = []): Promise<{ readonly rows: readonly unknown[] }> {
    const statement = statementOf(text, values)
    // Kept at once: code that does not wait for the answer has its statement written all the same.
    this.#kept = [...this.#kept, statement]
    try {
      const mistake = await this.#check(statement.text, statement.values.length)
      if (mistake !== null) refuseStatement(mistake)
    } catch (error) {
      this.#kept = this.#kept.filter((one) => one !== statement)
      throw error
    }
    return { rows: [] }
  }
}

/** Also known without asking SQLite: such a statement must not be kept even for a moment. */
const CONTROL = /^(?:begin|commit|end|rollback|savepoint|release|attach|detach|vacuum|pragma)\b/i
/** What SQLite passes over before a statement. */
const BLANK = /^(?:[\s;]|--.*(?:\n|$)|\/\*[^]*?(?:\*\/|$))*/

function statementOf(text: unknown, values: unknown): TxStatement {
  if (typeof text !== 'string' || text.includes('\0')) refuse('ctx.tx.query.text', 'one SQL statement', text)
  if (!Array.isArray(values)) refuse('ctx.tx.query.values', 'an array', values)
  const word = CONTROL.exec(text.replace(BLANK, ''))?.[0]
  if (word !== undefined) refuseStatement(`\`${word}\` is not for it`)
  return { text, values: values.map(valueOf) }
}

function refuseStatement(mistake: string): never {
  throw new OffstageError(
    'OFFSTAGE_BAD_OPTION',
    `\`ctx.tx.query\` takes one SQL statement that writes, and was given another: ${mistake}. Nothing of it was kept.`,
  )
}

/** The bytes are copied: the caller may write into theirs before the run ends. */
function valueOf(value: unknown, index: number): TxValue {
  if (value === null || typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value))) return value
  if (typeof value === 'bigint' && BigInt.asIntN(64, value) === value) return value
  if (value instanceof Uint8Array) return new Uint8Array(value)
  return refuse(
    `ctx.tx.query.values[${index}]`,
    'a text, a finite number, a bigint of 64 bits, null or a Uint8Array (true and false as 1 and 0)',
    value,
  )
}

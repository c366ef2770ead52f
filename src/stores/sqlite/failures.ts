import { OffstageError, type ErrorCode } from '../../core/errors.ts'
import { isObject } from '../../core/options.ts'

/** https://sqlite.org/rescode.html: the primary codes that tell what may be done about it. */
const CODES: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  5: ['OFFSTAGE_STORE_BUSY', 'another process has the write lock, and has committed nothing for five seconds'],
  6: ['OFFSTAGE_STORE_BUSY', 'another connection held a lock'],
  11: ['OFFSTAGE_STORE_CORRUPT', 'it is damaged; keep a copy of it with its -wal and restore a backup'],
  13: ['OFFSTAGE_STORE_FULL', 'the disk has no room for the commit'],
  26: ['OFFSTAGE_STORE_CORRUPT', 'it is no SQLite database; keep a copy of it and restore a backup'],
}
/** Of one row alone: too big, against a constraint, of the wrong type, out of range. */
const OF_A_ROW = new Set([18, 19, 20, 25])

const primaryCode = (error: unknown): number =>
  isObject(error) && typeof error['errcode'] === 'number' ? error['errcode'] & 0xff : 0

/** Another connection has the lock. */
export const isBusy = (error: unknown): boolean => primaryCode(error) === 5

/** What SQLite says as one of our errors, with the path and the original. */
export function storeError(error: unknown, path: string): OffstageError {
  if (error instanceof OffstageError) return error
  const reason = error instanceof Error ? error.message : String(error)
  const [code, words] = CODES[primaryCode(error)] ?? ['OFFSTAGE_STORE_UNAVAILABLE', reason]
  return new OffstageError(code, `The store ${path}: ${words}.`, { cause: error })
}

/** The failure is one write's own, and its neighbours may go on without it. */
export const isOfOneRow = (error: unknown): boolean =>
  OF_A_ROW.has(primaryCode(error)) ||
  (isObject(error) && (error['code'] === 'ERR_INVALID_ARG_TYPE' || error['code'] === 'ERR_OUT_OF_RANGE'))

/** Not of any statement, but of the database or the disk: busy, locked, no memory, an I/O error, no room. */
const OF_THE_STORE = new Set([5, 6, 7, 10, 13])

/** The failure is of a statement that a task's code gave, and of nothing beyond it: a virtual table, say, has any code. */
export const isOfOneStatement = (error: unknown): boolean => !OF_THE_STORE.has(primaryCode(error))

export const refusalOf = (error: unknown): { readonly refused: ErrorCode; readonly message: string } => ({
  refused: primaryCode(error) === 18 ? 'OFFSTAGE_PAYLOAD_TOO_LARGE' : 'OFFSTAGE_BAD_OPTION',
  message: `The store refused a row: ${error instanceof Error ? error.message : String(error)}.`,
})

import { constants, type DatabaseSync } from 'node:sqlite'

/** Tables, indexes and triggers of the store itself. */
const OURS = /^offstage_/i

/** What would end the transaction that the statement is part of, or alter the connection beyond it. */
const BEYOND = new Map<number, string>([
  [constants.SQLITE_TRANSACTION, 'a transaction of its own'],
  [constants.SQLITE_SAVEPOINT, 'a savepoint'],
  [constants.SQLITE_ATTACH, 'another database'],
  [constants.SQLITE_DETACH, 'another database'],
  [constants.SQLITE_PRAGMA, 'a pragma'],
  // A temporary table stays on the connection, and hides the one of that name.
  [constants.SQLITE_CREATE_TEMP_INDEX, 'anything temporary'],
  [constants.SQLITE_CREATE_TEMP_TABLE, 'anything temporary'],
  [constants.SQLITE_CREATE_TEMP_TRIGGER, 'anything temporary'],
  [constants.SQLITE_CREATE_TEMP_VIEW, 'anything temporary'],
])
const READS = new Set<number>([constants.SQLITE_READ, constants.SQLITE_SELECT, constants.SQLITE_FUNCTION])

/**
 * What a statement of `ctx.tx` may not have, asked of SQLite while it prepares the statement: its triggers are looked at as well.
 * Undefined where it may go on.
 */
function forbidden(action: number, names: readonly (string | null)[]): string | undefined {
  const beyond = BEYOND.get(action)
  if (beyond !== undefined || READS.has(action)) return beyond
  if (names[2] === 'temp') return 'anything temporary'
  return names.some((name) => name !== null && OURS.test(name)) ? "a change to the store's own tables" : undefined
}

/** Prepares under that rule. Answers what was forbidden, in words; else what `prepare` answers, or it throws. */
export function preparedWithin<T>(database: DatabaseSync, prepare: () => T): { readonly forbidden: string } | T {
  let found: string | undefined
  database.setAuthorizer((action, ...names) => {
    found ??= forbidden(action, names)
    return found === undefined ? constants.SQLITE_OK : constants.SQLITE_DENY
  })
  try {
    return prepare()
  } catch (error) {
    if (found === undefined) throw error
    return { forbidden: found }
  } finally {
    database.setAuthorizer(null)
  }
}

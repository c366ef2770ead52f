import type { DatabaseSync } from 'node:sqlite'
import type { Refused } from '../store.ts'
import { preparedWithin } from './allowed.ts'
import { isOfOneStatement } from './failures.ts'
import { RELEASE, ROLLBACK_TO, SAVEPOINT } from './sql/settings.ts'
import { receivedValue, type SentStatement } from './wire.ts'

/** The statements of an attempt's own, within the transaction that ends its run: all of them, or it says why none. */
export function writeOwn(database: DatabaseSync, statements: readonly SentStatement[]): Refused | undefined {
  database.exec(SAVEPOINT)
  const mistake = mistakeIn(database, statements)
  database.exec(mistake === undefined ? RELEASE : ROLLBACK_TO)
  return mistake === undefined
    ? undefined
    : { refused: 'OFFSTAGE_BAD_OPTION', message: `A statement of \`ctx.tx\` failed: ${mistake}.` }
}

/** Throws where the trouble is not theirs, or the whole transaction is gone (as by `insert or rollback`). */
function mistakeIn(database: DatabaseSync, statements: readonly SentStatement[]): string | undefined {
  try {
    for (const { text, values } of statements) {
      const statement = preparedWithin(database, () => database.prepare(text))
      if ('forbidden' in statement) return `it cannot have ${statement.forbidden}`
      statement.run(...values.map(receivedValue))
      if (!database.isTransaction) throw new Error('A statement of `ctx.tx` ended the transaction that it was part of.')
    }
    return undefined
  } catch (error) {
    if (!database.isTransaction || !isOfOneStatement(error)) throw error
    return error instanceof Error ? error.message : String(error)
  }
}

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { Row } from './rows.ts'

/** A prepared statement, kept for as long as its connection, whose options do not matter: rows are arrays, values go in by position. */
export class Statement {
  readonly #statement: StatementSync

  constructor(statement: StatementSync) {
    statement.setReturnArrays(true)
    statement.setReadBigInts(false)
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

export function prepared<Texts extends object>(database: DatabaseSync, texts: Texts): Prepared<Texts> {
  const statements = Object.entries(texts).map(([name, text]) => [name, new Statement(database.prepare(text))])
  return Object.fromEntries(statements) as Prepared<Texts> // fromEntries forgets the names
}

import { DatabaseSync } from 'node:sqlite'
import { isObject } from '../../core/options.ts'
import { preparedWithin } from './allowed.ts'
import { explain } from './sql/others.ts'

/** A statement of `ctx.tx` before it is kept: its text, and how many values it was given. */
export interface Asked {
  readonly text: string
  readonly count: number
}

/**
 * Says what is wrong with a statement of `ctx.tx` before the run's end depends on it. On a connection of its own that cannot write:
 * it sees the database as it was last committed, so a table that is made by an earlier statement of the same transaction is not there.
 */
export class TxCheck {
  readonly #database: DatabaseSync

  constructor(path: string) {
    this.#database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 })
  }

  close(): void {
    this.#database.close()
  }

  /** Null: it can be kept. */
  mistake({ text, count }: Asked): string | null {
    try {
      const statement = preparedWithin(this.#database, () => this.#database.prepare(text))
      if ('forbidden' in statement) return `it cannot have ${statement.forbidden}`
      if (statement.columns().length > 0) return 'it reads, and only statements that write are kept'
      const one = statement.sourceSQL
      if (!this.#isBlank(text.slice(one.length))) return 'it is more than one statement'
      return this.#misfit(one, count)
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }

  /** What comes after a statement: only comments and semicolons. */
  #isBlank(rest: string): boolean {
    try {
      preparedWithin(this.#database, () => this.#database.prepare(rest))
      return false
    } catch (error) {
      return isObject(error) && error['code'] === 'ERR_INVALID_ARG_VALUE' // "contains no statements"
    }
  }

  /** A value too many is refused by SQLite; one that is missing would be null. */
  #misfit(text: string, count: number): string | null {
    const plan = this.#database.prepare(explain(text))
    const values: readonly null[] = Array.from({ length: count }, () => null)
    const wanted = plan.all(...values).filter(({ opcode }) => opcode === 'Variable')
    const most = Math.max(0, ...wanted.map(({ p1 }) => Number(p1)))
    return most > count ? `it needs ${most} values, by position, and got ${count}` : null
  }
}

import { onThread } from '../../core/version.ts'
import type { DatabaseSync } from 'node:sqlite'
import type { Version } from '../store.ts'
import { addKind, kindsAfter } from './sql/inserts.ts'
import { prepared, type Prepared } from './statement.ts'

/** A task at a version, and where its starter said it is performed: a small number in each run's row. */
export interface Kind {
  readonly id: number
  readonly task: string
  readonly version: number
  readonly thread: boolean
}

const TEXTS = { addKind, kindsAfter }

/** The kinds as far as they are known here: others add theirs, and none is ever altered. */
export class Kinds {
  readonly #sql: Prepared<typeof TEXTS>
  readonly #ids = new Map<string, number>()
  #known: readonly Kind[] = []

  constructor(database: DatabaseSync) {
    this.#sql = prepared(database, TEXTS)
  }

  idOf(task: string, version: number, thread: number): number {
    const name = `${thread} ${version} ${task}`
    return this.#ids.get(name) ?? this.#added(name, [task, version, thread])
  }

  /** Of those that an instance which registered these performs; `thread` is its own word. */
  performedBy(can: readonly Version[]): readonly Kind[] {
    this.#learn()
    return this.#known.flatMap((kind) => {
      const thread = onThread(kind, can)
      return thread === undefined ? [] : [{ ...kind, thread }]
    })
  }

  /** After a rollback: what was added is gone, and its number may be another's. */
  forget(): void {
    this.#ids.clear()
    this.#known = []
  }

  #added(name: string, kind: readonly [task: string, version: number, thread: number]): number {
    this.#learn()
    if (!this.#ids.has(name)) {
      this.#sql.addKind.run(...kind)
      this.#learn()
    }
    const id = this.#ids.get(name)
    if (id === undefined) throw new Error(`The kind ${name} was added and is not there.`)
    return id
  }

  #learn(): void {
    const rows = this.#sql.kindsAfter.rows(this.#known.at(-1)?.id ?? 0)
    if (rows.length === 0) return
    const found = rows.map(kindOf)
    for (const { id, task, version, thread } of found) this.#ids.set(`${thread ? 1 : 0} ${version} ${task}`, id)
    this.#known = [...this.#known, ...found]
  }
}

export function kindOf(row: readonly unknown[]): Kind {
  const [id, task, version, thread] = row as readonly [number, string, number, number] // the schema is strict
  return { id, task, version, thread: thread === 1 }
}

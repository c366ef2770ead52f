import type { Store } from '../store.ts'
import { SqliteStore } from './store.ts'

export interface SqliteStoreOptions {
  /** The database's file. It and its folder are made where they are not there yet. */
  readonly path: string
}

/** Durable runs in one file, for the processes of one machine. Nothing is opened before `open`. Each Offstage needs an object of its own. */
export const sqliteStore = (options: SqliteStoreOptions): Store => new SqliteStore(options)

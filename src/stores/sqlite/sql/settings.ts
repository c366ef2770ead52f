import { APPLICATION_ID } from './schema.ts'

export const LIBRARY = 'select sqlite_version()'
export const ECHO = 'select ?'

export const APPLICATION = 'pragma application_id'
export const SCHEMA_VERSION = 'pragma user_version'
export const TABLES: string = `select count(*) from sqlite_schema where type = 'table'`
export const stamp = (version: number): string =>
  `pragma application_id = ${APPLICATION_ID}; pragma user_version = ${version}`

interface Setting {
  readonly set: string
  readonly read: string
  readonly value: string | number
}
const setting = (name: string, value: string | number): Setting => ({
  set: `pragma ${name} = ${value}`,
  read: `pragma ${name}`,
  value,
})

/** What durability needs of whoever writes: in the database itself. */
export const JOURNAL: Setting = setting('journal_mode', 'wal')
/** Of each connection. `synchronous` 2 is FULL: an fsync before every answer. */
export const SETTINGS: readonly Setting[] = [
  setting('busy_timeout', 5_000),
  setting('synchronous', 2),
  setting('mmap_size', 0),
]

export const BEGIN = 'begin immediate'
export const SNAPSHOT = 'begin'
export const COMMIT = 'commit'
export const ROLLBACK = 'rollback'

/** Taken for as long as a process lives: nothing is ever committed under it. */
export const HOLD = 'begin exclusive'

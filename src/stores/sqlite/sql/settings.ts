export const LIBRARY = 'select sqlite_version()'
export const ECHO = 'select ?'

/** 'OfSt': stores that were never released had it, and no `offstage_meta`. */
export const UNRELEASED = 0x4f665374
export const APPLICATION = 'pragma application_id'
export const HAS_META = `select count(*) from sqlite_schema where type = 'table' and name = 'offstage_meta'`
export const SCHEMA_VERSION = 'select version from offstage_meta'
export const stamp = (version: number): string => `update offstage_meta set version = ${version}`

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
  setting('foreign_keys', 1),
]

/** Of who writes: a look at the lock, and no longer. See write-lock.ts. */
export const LOOK = 'pragma busy_timeout = 1'

export const BEGIN = 'begin immediate'
export const SNAPSHOT = 'begin'
export const COMMIT = 'commit'
export const ROLLBACK = 'rollback'

/** Around the statements of an attempt's own. */
export const SAVEPOINT = 'savepoint offstage_own'
export const RELEASE = 'release offstage_own'
export const ROLLBACK_TO = 'rollback to offstage_own; release offstage_own'

/** Taken for as long as a process lives: nothing is ever committed under it. */
export const HOLD = 'begin exclusive'

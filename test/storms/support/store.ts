import { DatabaseSync } from 'node:sqlite'

/** A run as the store has it. */
export interface StoredRun {
  readonly id: string
  /** What it was started for: its first tag. */
  readonly token: string | undefined
  readonly task: string
  readonly state: string
  readonly reason: string | null
  readonly attempt: number
  readonly tries: number
  readonly crashes: number
  readonly result: string | null
  readonly error: string | null
  readonly parent: string | null
  /** Whose it is while it runs. */
  readonly pid: number | null
}

/** The names of the store's tables, as the file has them: the one place here that knows them. */
function tablesOf(db: DatabaseSync): { readonly runs: string; readonly instances: string } {
  const names = db
    .prepare(`select name from sqlite_schema where type = 'table'`)
    .all()
    .map(({ name }) => String(name))
  const named = (end: string): string => names.find((name) => name === end || name === `offstage_${end}`)!
  return { runs: named('runs'), instances: named('instances') }
}

function opened<T>(path: string, readOnly: boolean, use: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(path, { readOnly, timeout: 5_000 })
  try {
    return use(db)
  } finally {
    db.close()
  }
}

/** The runs as they are now; of those that run, all or that process's alone. */
export function storedRuns(path: string, running?: { readonly pid?: number }): readonly StoredRun[] {
  return opened(path, true, (db) => {
    const { runs, instances } = tablesOf(db)
    const rows = db
      .prepare(
        `select r.id, iif(json_valid(tags), tags ->> 0, null) as token, task, state, reason, attempt, tries, crashes, result, error, parent, pid
        from ${runs} r left join ${instances} i on i.id = r.instance
        where (?1 is null or state = 'running') and (?2 is null or pid = ?2)`,
      )
      .all(running === undefined ? null : 1, running?.pid ?? null)
    return rows as unknown as readonly StoredRun[] // the columns named
  })
}

/** How many have not ended. */
export const unended = (path: string): number =>
  opened(path, true, (db) => {
    const { runs } = tablesOf(db)
    return Number(db.prepare(`select count(*) as n from ${runs} where state in ('waiting', 'running')`).get()?.['n'])
  })

/** Damages rows by hand: what no statement of ours would write. `SET` names columns of a run. */
export function damage(path: string, run: string, set: string): void {
  opened(path, false, (db) => {
    db.exec('pragma ignore_check_constraints = on; pragma foreign_keys = off')
    db.prepare(`update ${tablesOf(db).runs} set ${set} where id = ?`).run(run)
  })
}

export const integrity = (path: string): string =>
  opened(path, true, (db) => String(db.prepare('pragma integrity_check').get()?.['integrity_check']))

/** As if a later version had migrated the file: its number is in a table of ours, or is the file's own. */
export function makeNewer(path: string): void {
  opened(path, false, (db) => {
    const meta = db.prepare(`select 1 from sqlite_schema where name = 'offstage_meta'`).get()
    db.exec(meta === undefined ? 'pragma user_version = 1000' : 'update offstage_meta set version = 1000')
  })
}

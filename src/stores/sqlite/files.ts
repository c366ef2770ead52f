import { chmodSync, closeSync, existsSync, linkSync, lstatSync, mkdirSync, openSync, unlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { OffstageError } from '../../core/errors.ts'
import { realRandom } from '../../runtime/world.ts'

/** Beside the database: where each instance's presence is. */
export const folderOf = (path: string): string => `${path}.offstage`

/** The folders and an empty file for the database, where they are not there yet: for their owner alone, whatever the umask. */
export function layOut(path: string): void {
  const folder = folderOf(path)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (!lstatSync(folder).isDirectory())
    throw new OffstageError(
      'OFFSTAGE_STORE_UNSAFE',
      `${folder} is no folder but a link to one: whoever can alter it decides who is alive. Remove it; Offstage makes its own.`,
    )
  chmodSync(folder, 0o700)
  if (existsSync(path)) return
  // SQLite would delete it with the commits that are in it alone. (Another process may be creating both at this moment.)
  if (existsSync(`${path}-wal`) && !existsSync(path))
    throw new OffstageError(
      'OFFSTAGE_STORE_CORRUPT',
      `The store ${path} is gone, and its -wal is still there. Nothing was created: put the file back, or restore a backup.`,
    )
  create(path, join(folder, `${realRandom.instanceId()}.new`))
}

/** Linked in whole: the database's own file is never opened but by SQLite, whose locks a second descriptor would drop. */
function create(path: string, made: string): void {
  closeSync(openSync(made, 'wx', 0o600))
  chmodSync(made, 0o600)
  try {
    linkSync(made, path)
  } catch (error) {
    if (!existsSync(path)) throw error // or another process was first
  } finally {
    unlinkSync(made)
  }
}

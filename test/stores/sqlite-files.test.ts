import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { sqliteStore } from 'offstage/sqlite'
import { describe, expect, test } from 'vitest'
import { STATES } from '../../src/core/run-state.ts'
import { Connection } from '../../src/stores/sqlite/connection.ts'
import { MIGRATIONS } from '../../src/stores/sqlite/sql/schema.ts'
import { fixture, fixtureFile, openedIn, tempFolder } from './sqlite-world.ts'

const folder = tempFolder()
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)

/** Asked by a connection of its own. */
function asked(path: string, text: string): unknown {
  const database = new DatabaseSync(path)
  try {
    return Object.values(database.prepare(text).get() ?? {})[0]
  } finally {
    database.close()
  }
}

async function made(name: string): Promise<string> {
  const path = `${folder}/${name}.db`
  const { store } = await openedIn(path)
  await store.close()
  return path
}

describe('a SQLite store is laid out for durability', () => {
  test('its database is in WAL, with our id and our version', async () => {
    const path = await made('settings')
    expect(asked(path, 'pragma journal_mode')).toBe('wal')
    expect(asked(path, 'pragma application_id')).toBe(Buffer.from('OfSt').readUInt32BE())
    expect(asked(path, 'pragma user_version')).toBe(MIGRATIONS.length)
    expect(asked(path, 'pragma integrity_check')).toBe('ok')
  })

  test.each([false, true])('each connection waits for its fsync (read only: %s)', async (readOnly) => {
    const connection = new Connection({ path: await made(`connection-${readOnly}`), readOnly })
    const asks = { synchronous: 'pragma synchronous', busy: 'pragma busy_timeout', mmap: 'pragma mmap_size' }
    const { synchronous, busy, mmap } = connection.prepare(asks)
    expect([synchronous, busy, mmap].map((statement) => statement.row()?.[0])).toEqual([2, 5_000, 0])
    connection.close()
  })

  test('its files are their owner’s alone, whatever the umask', async () => {
    const before = process.umask(0)
    try {
      const path = `${folder}/deep/er/private.db`
      const { store } = await openedIn(path)
      const presence = await store.open()
      presence.begin('a'.repeat(32))
      await store.write([{ kind: 'rescue', dead: [], limit: 1 }])
      expect(['', '-wal', '-shm'].map((suffix) => mode(path + suffix))).toEqual(['600', '600', '600'])
      expect([`${path}.offstage`, `${folder}/deep/er`, `${folder}/deep`].map(mode)).toEqual(['700', '700', '700'])
      await store.close()
    } finally {
      process.umask(before)
    }
  })

  test('nothing is opened before it is opened, and nothing is left over at its end', async () => {
    const path = `${folder}/lazy.db`
    const store = sqliteStore({ path })
    expect(existsSync(path)).toBe(false)
    const presence = await store.open()
    presence.begin('b'.repeat(32))
    await store.read({ kind: 'instances' })
    await store.close()
    expect(['', '-wal', '-shm'].map((suffix) => existsSync(path + suffix))).toEqual([true, false, false])
    expect(existsSync(`${path}.offstage/${'b'.repeat(32)}.alive`)).toBe(false)
  })

  test('nobody but SQLite opens the database or a presence', async () => {
    const guard = ['--import', fixtureFile('guarded-fs')]
    expect(await fixture('whole-life', [`${folder}/descriptors.db`], guard).said).toBe('closed')
  })

  test('processes that start at once make one store', async () => {
    const path = `${folder}/at-once.db`
    const starters = Array.from({ length: 4 }, (_, index) => fixture('starter', [path, String(index)]))
    for (const starter of starters) expect(await starter.said).toBe('ready')
    for (const starter of starters) starter.child.stdin?.write('go\n')
    for (const starter of starters) expect(await starter.ended).toBe(0)
    expect(asked(path, 'select count(*) from runs')).toBe(4)
    expect(asked(path, 'pragma integrity_check')).toBe('ok')
  })
})

describe('the schema restates the state machine', () => {
  test('its states are those of the table', () => {
    const check = /\n {2}state text not null check \(([^)]*)\)/.exec(MIGRATIONS.join(''))?.[1] ?? ''
    expect([...check.matchAll(/state = '(\w+)'/g)].map((match) => match[1])).toEqual(STATES)
  })

  test.each([
    `state = 'resting'`,
    `state = 'succeeded'`,
    `state = 'running', stage = 5`,
    `finished_at = 1`,
    `stage = null`,
    `stage = 5`,
    `instance = 'somebody'`,
    `deadline = 1`,
    `reason = 'error'`,
    `result = '1'`,
    `tries = 1`,
    `tries = -1`,
    `crashes = 1`,
    `cancel_at = 1, cancel_error = '{}'`,
    `trimmed = 2`,
    `version = 'one'`,
  ])('a waiting run cannot have %s', async (change) => {
    const path = await made(`check-${Buffer.from(change).toString('hex')}`)
    const database = new DatabaseSync(path)
    const columns = `id, task, version, thread, queue, priority, max_attempts, on_crash, tags, created_at, due_at, state, stage, rank, attempt, tries, number`
    database.exec(
      `insert into runs (${columns}) values ('a', 't', 1, 0, 'q', 0, 1, 'retry', '[]', 1, 1, 'waiting', 0, 0, 0, 0, 1)`,
    )
    expect(() => database.exec(`update runs set ${change}`)).toThrow(/constraint|cannot store/)
    database.close()
  })
})

describe('a file that is not ours to write is refused, and left as it is', () => {
  async function refused(path: string, code: string): Promise<Error> {
    const before = existsSync(path) && statSync(path).isFile() ? readFileSync(path) : undefined
    const store = sqliteStore({ path })
    const error = await store.open().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code, name: 'OffstageError' })
    await store.close()
    if (before) expect(readFileSync(path)).toEqual(before)
    return error as Error // it has a code: see above
  }

  test('a store of a newer version', async () => {
    const path = await made('newer')
    asked(path, `pragma user_version = ${MIGRATIONS.length + 1}`)
    const error = await refused(path, 'OFFSTAGE_STORE_VERSION')
    expect(error.message).toContain(path)
    expect(asked(path, 'pragma user_version')).toBe(MIGRATIONS.length + 1)
  })

  test('what is no database', async () => {
    const path = `${folder}/no-database.db`
    writeFileSync(path, 'Dear diary, today I was taken for a database.\n'.repeat(100))
    const error = await refused(path, 'OFFSTAGE_STORE_CORRUPT')
    expect(error.message).toContain(path)
    expect(error.cause).toMatchObject({ code: 'ERR_SQLITE_ERROR' })
  })

  test('a store whose header is damaged', async () => {
    const path = await made('damaged')
    const bytes = readFileSync(path)
    bytes.fill(0xff, 0, 16)
    writeFileSync(path, bytes)
    await refused(path, 'OFFSTAGE_STORE_CORRUPT')
  })

  test('a database of somebody else', async () => {
    const path = `${folder}/foreign.db`
    const database = new DatabaseSync(path)
    database.exec('create table customers (id integer primary key)')
    database.close()
    expect((await refused(path, 'OFFSTAGE_STORE_UNAVAILABLE')).message).toContain('something else')
  })

  test('a -wal whose database is gone', async () => {
    const path = `${folder}/lost.db`
    writeFileSync(`${path}-wal`, 'commits that are nowhere else')
    await refused(path, 'OFFSTAGE_STORE_CORRUPT')
    expect(existsSync(path)).toBe(false)
    expect(readFileSync(`${path}-wal`, 'utf8')).toBe('commits that are nowhere else')
  })

  test('a path that is a folder, or goes through a file', async () => {
    mkdirSync(`${folder}/folder.db`)
    writeFileSync(`${folder}/plain`, '')
    await refused(`${folder}/folder.db`, 'OFFSTAGE_STORE_UNAVAILABLE')
    await refused(`${folder}/plain/a.db`, 'OFFSTAGE_STORE_UNAVAILABLE')
  })

  test.each(['', ':memory:'])('the path "%s" is no file', (path) => {
    expect(() => sqliteStore({ path })).toThrow(expect.objectContaining({ code: 'OFFSTAGE_BAD_OPTION' }))
  })

  test('an open that failed can be tried again', async () => {
    const path = `${folder}/again.db`
    writeFileSync(path, 'no database'.repeat(100))
    const store = sqliteStore({ path })
    await expect(store.open()).rejects.toMatchObject({ code: 'OFFSTAGE_STORE_CORRUPT' })
    writeFileSync(path, '')
    await store.open()
    expect(await store.write([])).toEqual([])
    await store.close()
  })
})

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { sqliteStore } from 'offstage/sqlite'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { STATES } from '../../src/core/run-state.ts'
import { Connection } from '../../src/stores/sqlite/connection.ts'
import { layOut } from '../../src/stores/sqlite/files.ts'
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
  test('its database is in WAL, with its version and an id of its own', async () => {
    const [path, other] = [await made('settings'), await made('settings-other')]
    expect(asked(path, 'pragma journal_mode')).toBe('wal')
    expect(asked(path, 'select version from offstage_meta')).toBe(MIGRATIONS.length)
    expect(asked(path, 'select store from offstage_meta')).toMatch(/^[0-9a-f]{32}$/)
    expect(asked(path, 'select store from offstage_meta')).not.toBe(asked(other, 'select store from offstage_meta'))
    expect(asked(path, 'pragma integrity_check')).toBe('ok')
  })

  test('a database of somebody else gets our tables beside his, and nothing else of it is altered', async () => {
    const path = `${folder}/shared.db`
    asked(path, 'create table runs (id integer primary key, name text)')
    asked(path, `insert into runs values (1, 'his')`)
    for (const pragma of ['application_id', 'user_version']) asked(path, `pragma ${pragma} = 7`)
    const { store } = await openedIn(path)
    await store.close()
    expect(asked(path, 'select name from runs')).toBe('his')
    for (const pragma of ['application_id', 'user_version']) expect(asked(path, `pragma ${pragma}`)).toBe(7)
    const names = `select group_concat(name) from sqlite_schema where name not like 'offstage%' and name not like 'sqlite%'`
    expect(asked(path, names)).toBe('runs')
    const opened = await openedIn(path)
    await opened.store.close()
  })

  test.each([false, true])('each connection waits for its fsync (read only: %s)', async (readOnly) => {
    const connection = new Connection({ path: await made(`connection-${readOnly}`), readOnly })
    const asks = ['synchronous', 'busy_timeout', 'mmap_size', 'foreign_keys'].map((name) => [name, `pragma ${name}`])
    const answers = Object.values(connection.prepare(Object.fromEntries(asks))).map((statement) => statement.row()?.[0])
    expect(answers).toEqual([2, readOnly ? 5_000 : 1, 0, 1]) // who writes waits in turns of a millisecond
    connection.close()
  })

  test('its files are their owner’s alone, whatever the umask', async () => {
    const before = process.umask(0)
    try {
      const path = `${folder}/deep/er/private.db`
      const store = sqliteStore({ path })
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

  test('one that is opened through a link is the same store: its presences, and who is told of its commits', async () => {
    const [path, link] = [await made('linked'), `${folder}/link.db`]
    symlinkSync(path, link)
    const stores = [sqliteStore({ path: link }), sqliteStore({ path })] as const
    for (const store of stores) onTestFinished(() => store.close())
    const presences = [await stores[0].open(), await stores[1].open()] as const
    const records = presences.map((presence, index) => presence.begin(String(index).repeat(32)))
    for (const { id } of records) expect(existsSync(`${path}.offstage/${id}.alive`)).toBe(true)
    expect(existsSync(`${link}.offstage`)).toBe(false)
    // Heard, and not seen at the look that comes twice a second anyway.
    const took: number[] = []
    let woken = false
    using _wakes = stores[0].wakes(() => (woken = true))
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      const instance = { ...records[1]!, id: id.repeat(32) }
      woken = false
      const from = performance.now()
      await stores[1].write([{ kind: 'presence', instance, change: 'joins', can: [] }])
      await vi.waitFor(() => expect(woken).toBe(true), { interval: 2, timeout: 5_000 })
      took.push(performance.now() - from)
    }
    expect(took.toSorted((a, b) => a - b)[2]).toBeLessThan(200)
  })

  test('processes that start at once make one store', async () => {
    const path = `${folder}/at-once.db`
    const starters = Array.from({ length: 4 }, (_, index) => fixture('starter', [path, String(index)]))
    for (const starter of starters) expect(await starter.said).toBe('ready')
    for (const starter of starters) starter.child.stdin?.write('go\n')
    for (const starter of starters) expect(await starter.ended).toBe(0)
    expect(asked(path, 'select count(*) from offstage_runs')).toBe(4)
    expect(asked(path, 'pragma integrity_check')).toBe('ok')
  })
})

describe('a store is brought to the version of who opens it', () => {
  const names = ['create table offstage_more (a text) strict', 'alter table offstage_more add column b text']
  const three = [...MIGRATIONS, ...names]
  const open = (path: string, migrations: readonly string[]) => {
    layOut(path)
    return new Connection({ path, readOnly: false, migrations })
  }

  test('from any version, each migration once and in order', () => {
    for (const from of [0, 1, 2, 3]) {
      const path = `${folder}/from-${from}.db`
      if (from > 0) open(path, three.slice(0, from)).close()
      for (const time of [1, 2]) {
        const connection = open(path, three)
        const { version } = connection.prepare({ version: 'select version from offstage_meta' })
        expect([from, time, version.row()?.[0]]).toEqual([from, time, 3])
        connection.close()
      }
      expect(asked(path, `select group_concat(name) from pragma_table_info('offstage_more')`)).toBe('a,b')
    }
  })

  test('or not at all, where one of them fails', () => {
    const path = `${folder}/broken.db`
    open(path, MIGRATIONS).close()
    expect(() => open(path, [...three, 'create tabel mistake'])).toThrow(/syntax/)
    expect(asked(path, 'select version from offstage_meta')).toBe(1)
    expect(asked(path, `select count(*) from sqlite_schema where name = 'offstage_more'`)).toBe(0)
  })

  test('one that was brought to a later version is refused, and not touched', () => {
    const path = `${folder}/later.db`
    open(path, three).close()
    const before = readFileSync(path)
    expect(() => open(path, MIGRATIONS)).toThrow(expect.objectContaining({ code: 'OFFSTAGE_STORE_VERSION' }))
    expect(readFileSync(path)).toEqual(before)
  })

  test('processes that do so at once do it once', async () => {
    const path = `${folder}/migrated-at-once.db`
    open(path, MIGRATIONS).close()
    const migrators = Array.from({ length: 4 }, () => fixture('migrator', [path, ...names]))
    for (const migrator of migrators) expect(await migrator.said).toBe('ready')
    for (const migrator of migrators) migrator.child.stdin?.write('go\n')
    for (const migrator of migrators) expect(await migrator.ended).toBe(0)
    expect(asked(path, 'select version from offstage_meta')).toBe(3)
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
    `state = 'running', stage = 3`,
    `finished_at = 1`,
    `stage = null`,
    `stage = 3`,
    `stage = 5`,
    `instance = 'somebody'`,
    `deadline = 1`,
    `reason = 'error'`,
    `result = '1'`,
    `tries = 1`,
    `tries = -1`,
    `crashes = 1`,
    `cancel_at = 1, cancel_error = '{}'`,
    `idempotency_key = 'k'`,
    `trimmed = 2`,
    `version = 'one'`,
  ])('a waiting run cannot have %s', async (change) => {
    const path = await made(`check-${Buffer.from(change).toString('hex')}`)
    const database = new DatabaseSync(path)
    const columns = `id, task, version, kind, thread, queue, priority, max_attempts, on_crash, tags, created_at, due_at, state, stage, attempt, tries, number`
    database.exec(
      `insert into offstage_runs (${columns}) values ('a', 't', 1, 1, 0, 'q', 0, 1, 'retry', '[]', 1, 1, 'waiting', 0, 0, 0, 1)`,
    )
    expect(() => database.exec(`update offstage_runs set ${change}`)).toThrow(/constraint|cannot store/)
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
    asked(path, `update offstage_meta set version = ${MIGRATIONS.length + 1}`)
    const error = await refused(path, 'OFFSTAGE_STORE_VERSION')
    expect(error.message).toContain(path)
    expect(asked(path, 'select version from offstage_meta')).toBe(MIGRATIONS.length + 1)
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

  test('a store that was made before there was a release', async () => {
    const path = `${folder}/unreleased.db`
    asked(path, 'create table runs (id text)')
    asked(path, `pragma application_id = ${Buffer.from('OfSt').readUInt32BE()}`)
    expect((await refused(path, 'OFFSTAGE_STORE_VERSION')).message).toContain('before the first release')
  })

  test('a -wal whose database is gone', async () => {
    const path = `${folder}/lost.db`
    writeFileSync(`${path}-wal`, 'commits that are nowhere else')
    await refused(path, 'OFFSTAGE_STORE_CORRUPT')
    expect(existsSync(path)).toBe(false)
    expect(readFileSync(`${path}-wal`, 'utf8')).toBe('commits that are nowhere else')
  })

  test('a folder of presences that is a link, and its target is left as it is', async () => {
    const [path, target] = [`${folder}/lured.db`, `${folder}/of-somebody`]
    mkdirSync(target, { mode: 0o755 })
    symlinkSync(target, `${path}.offstage`)
    const before = mode(target)
    expect((await refused(path, 'OFFSTAGE_STORE_UNSAFE')).message).toContain(`${path}.offstage`)
    expect(mode(target)).toBe(before)
    expect([existsSync(path), readdirSync(target)]).toEqual([false, []])
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

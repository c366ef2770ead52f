import { linkSync, symlinkSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { createOffstage, task } from 'offstage'
import { sqliteStore } from 'offstage/sqlite'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Inserted, NewRun, Store } from '../../src/stores/store.ts'
import { openedIn, tempFolder } from './sqlite-world.ts'

const folder = tempFolder()
let files = 0
const opened: (() => unknown)[] = []
afterAll(async () => void (await Promise.all(opened.map((close) => close())))) // nobody asks

const newRun = (id: string, more: Partial<NewRun> = {}): NewRun => ({
  id,
  task: 't',
  version: 1,
  thread: false,
  queue: 'q',
  priority: 0,
  input: '{"n":1}',
  delay: 0,
  at: null,
  maxAttempts: 1,
  timeout: null,
  onCrash: 'retry',
  owner: null,
  tags: [],
  parent: null,
  idempotency: null,
  ...more,
})

/** An open store, whose time stands still, and connections of the user's own on its file. */
async function stage() {
  const path = `${folder}/${++files}.db`
  const { store, clock } = await openedIn(path)
  opened.push(() => store.close())
  const connect = (options: object = {}, file = path): DatabaseSync => {
    const database = new DatabaseSync(file, options)
    opened.push(() => database.isOpen && database.close())
    return database
  }
  return { path, store, clock, connect }
}

/** A connection that has begun. */
function begun(database: DatabaseSync): DatabaseSync {
  database.exec('begin immediate')
  return database
}

const find = (store: Store, run: string) => store.read({ kind: 'find', run })
const insert = (store: Store, tx: DatabaseSync, run: NewRun) => store.within(tx)!.insertNow!(run)

describe('a start within the transaction of a caller', () => {
  test('commits with it, at the store’s time, and nobody sees it before', async () => {
    const { store, clock, connect } = await stage()
    const tx = connect()
    tx.exec('create table orders (n)')
    begun(tx).exec('insert into orders values (7)')
    const inserted = insert(store, tx, newRun('a', { delay: 5, tags: ['x'], timeout: 9 }))
    const now = clock.now()
    expect(inserted).toEqual({ id: 'a', disposition: 'created', createdAt: now, dueAt: now + 5, claimed: false })
    expect(await find(store, 'a')).toBeUndefined()
    tx.exec('commit')
    expect(await find(store, 'a')).toMatchObject({ id: 'a', state: 'waiting', createdAt: now, tags: ['x'], attempt: 0 })
    expect(connect().prepare('select n from orders').get()).toEqual({ n: 7 })
  })

  test('rolls back with it, and what it rolled back is not remembered', async () => {
    const { store, connect } = await stage()
    const tx = begun(connect())
    insert(store, tx, newRun('a', { task: 'gone' }))
    tx.exec('rollback')
    expect(await find(store, 'a')).toBeUndefined()
    await store.write([{ kind: 'insert', run: newRun('b', { task: 'other' }) }])
    begun(tx)
    expect(insert(store, tx, newRun('a', { task: 'gone' }))).toMatchObject({ disposition: 'created' })
    tx.exec('commit')
    const instance = { id: 'i', pid: 1, boot: '', began: '', pidNamespace: '' }
    const can = [{ task: 'gone', version: 1, thread: false, upcasts: false }]
    await store.write([{ kind: 'presence', instance, change: 'joins', can }])
    const places = { all: 9, threads: 9, suspects: 1 }
    const [answer] = await store.write([{ kind: 'claim', instance: 'i', can, places }])
    expect(answer).toMatchObject({ claimed: [{ id: 'a', task: 'gone' }] })
  })

  test('wakes this process, once it has committed', async () => {
    const { store, connect } = await stage()
    const tx = connect()
    let woken = 0
    using _wakes = store.wakes(() => woken++)
    insert(store, begun(tx), newRun('a'))
    tx.exec('rollback')
    insert(store, begun(tx), newRun('b'))
    expect(woken).toBe(0)
    tx.exec('commit')
    const from = performance.now()
    await vi.waitFor(() => expect(woken).toBeGreaterThan(0), { interval: 1 })
    console.log(`woken ${(performance.now() - from).toFixed(1)} ms after the commit`)
  })

  test('many on one connection, also one that was closed and opened again', async () => {
    const { store, connect } = await stage()
    const tx = begun(connect())
    for (const id of ['a', 'b']) insert(store, tx, newRun(id))
    tx.exec('commit')
    tx.close()
    tx.open()
    for (const id of ['c', 'd']) insert(store, tx.isTransaction ? tx : begun(tx), newRun(id))
    tx.exec('commit')
    for (const id of ['a', 'b', 'c', 'd']) expect(await find(store, id)).toMatchObject({ state: 'waiting' })
  })

  test('knows a repeated id and a repeated key, and refuses the same key with another input', async () => {
    const { store, clock, connect } = await stage()
    const keyed = (id: string, fingerprint: string) => newRun(id, { idempotency: { key: 'k', fingerprint } })
    await store.write([{ kind: 'insert', run: keyed('a', 'one') }])
    const tx = begun(connect({ readBigInts: true, returnArrays: true }))
    const existing = { id: 'a', disposition: 'existing', createdAt: clock.now(), dueAt: clock.now(), claimed: false }
    expect(insert(store, tx, newRun('a'))).toEqual(existing)
    expect(insert(store, tx, keyed('b', 'one'))).toEqual(existing)
    expect(insert(store, tx, keyed('c', 'two'))).toMatchObject({ refused: 'OFFSTAGE_IDEMPOTENCY_MISMATCH' })
    expect(insert(store, tx, newRun('d'))).toMatchObject({ disposition: 'created', createdAt: clock.now() })
    tx.exec('commit')
    for (const id of ['b', 'c']) expect(await find(store, id)).toBeUndefined()
    expect(await find(store, 'd')).toMatchObject({ state: 'waiting' })
  })

  test('one that cannot be kept leaves the transaction as it was', async () => {
    const { store, clock, connect } = await stage()
    const key = { key: 'k', fingerprint: 'f' }
    await store.write([{ kind: 'insert', run: newRun('old', { idempotency: key }) }])
    await clock.pass(86_400_000)
    const tx = connect()
    tx.exec('create table orders (n)')
    tx.exec(
      `create trigger refuses before insert on offstage_runs when new.id = 'new' begin select raise(abort, 'no'); end`,
    )
    begun(tx).exec('insert into orders values (1)')
    expect(insert(store, tx, newRun('half', { maxAttempts: 1.5 }))).toMatchObject({ refused: 'OFFSTAGE_BAD_OPTION' })
    // The old run has lost its key by the time that the row is refused.
    const refused = insert(store, tx, newRun('new', { idempotency: key }))
    expect(refused).toMatchObject({ refused: 'OFFSTAGE_BAD_OPTION' })
    expect(tx.isTransaction).toBe(true)
    await clock.pass(-1)
    expect(insert(store, tx, newRun('again', { idempotency: key }))).toMatchObject({
      id: 'old',
      disposition: 'existing',
    })
    insert(store, tx, newRun('good'))
    tx.exec('commit')
    expect(connect().prepare('select n from orders').all()).toEqual([{ n: 1 }])
    expect(await find(store, 'good')).toMatchObject({ state: 'waiting' })
    expect(await find(store, 'new')).toBeUndefined()
  })

  test('while another connection writes, says so and what mends it', async () => {
    const { store, connect } = await stage()
    const tx = connect()
    tx.exec('begin')
    const other = begun(connect())
    const busy = () => insert(store, tx, newRun('a'))
    expect(busy).toThrow(expect.objectContaining({ code: 'OFFSTAGE_STORE_BUSY' }))
    expect(busy).toThrow(/begin immediate/)
    other.exec('commit')
    expect(tx.isTransaction).toBe(true)
    expect(busy()).toMatchObject({ disposition: 'created' })
    tx.exec('commit')
    expect(await find(store, 'a')).toMatchObject({ state: 'waiting' })
  })

  test('on a connection that only reads, says so', async () => {
    const { store, connect } = await stage()
    const tx = connect({ readOnly: true })
    tx.exec('begin')
    expect(() => insert(store, tx, newRun('a'))).toThrow(
      expect.objectContaining({ code: 'OFFSTAGE_STORE_UNAVAILABLE' }),
    )
  })

  test('the file may be reached by another path', async () => {
    const { store, connect, path } = await stage()
    symlinkSync(path, `${path}.link`)
    const tx = begun(connect({}, `${path}.link`))
    expect(insert(store, tx, newRun('a'))).toMatchObject({ disposition: 'created' })
    tx.exec('commit')
    expect(await find(store, 'a')).toMatchObject({ state: 'waiting' })
  })
})

describe('what is no such transaction is refused', () => {
  test('what is none at all is nothing to this store', async () => {
    const { store } = await stage()
    for (const tx of [undefined, null, 1, 'begin', {}, { query: () => 1 }, () => 1])
      expect(store.within(tx)).toBeUndefined()
  })

  test('a connection that has not begun', async () => {
    const { store, connect } = await stage()
    const refused = () => store.within(connect())
    expect(refused).toThrow(expect.objectContaining({ code: 'OFFSTAGE_NOT_A_TRANSACTION' }))
    expect(refused).toThrow(/begin immediate/)
  })

  test('a connection on another file, in memory, or closed', async () => {
    const { store, path, connect } = await stage()
    const elsewhere = begun(connect({}, `${folder}/elsewhere.db`))
    const inMemory = begun(connect({}, ':memory:'))
    const closed = connect()
    closed.close()
    for (const tx of [elsewhere, inMemory, closed]) {
      const refused = () => store.within(tx)
      expect(refused).toThrow(expect.objectContaining({ code: 'OFFSTAGE_NOT_A_TRANSACTION' }))
      expect(refused).toThrow(path)
    }
  })

  test.each([
    ['off', false],
    ['normal', false],
    ['full', true],
    ['extra', true],
  ])('a connection whose synchronous is %s: safe %s', async (synchronous, isSafe) => {
    const { store, connect } = await stage()
    const tx = connect()
    tx.exec(`pragma synchronous = ${synchronous}`)
    begun(tx)
    if (isSafe) return expect(store.within(tx)).toBeDefined()
    const refused = () => store.within(tx)
    expect(refused).toThrow(expect.objectContaining({ code: 'OFFSTAGE_STORE_UNSAFE' }))
    expect(refused).toThrow(`database.exec('pragma synchronous = full')`)
    // The line mends it.
    tx.exec('rollback')
    tx.exec('pragma synchronous = full')
    expect(store.within(begun(tx))).toBeDefined()
  })

  test('a connection of another SQLite library', async () => {
    const { store } = await stage()
    const other = { prepare: () => 1, exec: () => 1, pragma: () => 1, inTransaction: true }
    expect(() => store.within(other)).toThrow(expect.objectContaining({ code: 'OFFSTAGE_STORE_UNSAFE' }))
    expect(() => store.within(other)).toThrow(/locks/)
  })

  test('a second hard link: SQLite keeps another -wal beside it, and the two would ruin the file', async () => {
    const { store, path, connect } = await stage()
    linkSync(path, `${path}.copy`)
    const tx = connect({}, `${path}.copy`)
    tx.exec('begin')
    const refused = () => store.within(tx)
    expect(refused).toThrow(expect.objectContaining({ code: 'OFFSTAGE_NOT_A_TRANSACTION' }))
  })
})

/** Of a run that is claimed: what its attempt writes beside its end. */
async function claimed() {
  const { store, connect } = await stage()
  const database = connect()
  database.exec('create table notes (id integer primary key, text text unique, bytes blob) strict')
  const instance = { id: 'i', pid: 1, boot: '', began: '', pidNamespace: '' }
  const run = newRun('a')
  await store.write([{ kind: 'presence', instance, change: 'joins', can: [] }])
  const [born] = await store.write([{ kind: 'insert', run, claimFor: 'i' }])
  expect(born).toMatchObject({ claimed: true })
  const tx = store.begin({ run: 'a', attempt: 1 })!
  const succeed = (attempt = 1) =>
    store.write([
      {
        kind: 'settle',
        claim: { run: 'a', attempt },
        outcome: { kind: 'succeeded', result: '1' },
        tx: tx.statements,
      },
    ])
  return { store, database, tx, succeed }
}

describe('what an attempt writes with its end', () => {
  const refused = expect.objectContaining({ code: 'OFFSTAGE_BAD_OPTION', name: 'OffstageError' })
  /** For what is not kept: one attempt has room for all of it. */
  let one: Awaited<ReturnType<typeof claimed>>
  beforeAll(async () => void (one = await claimed())) // hooks answer nothing

  test('is kept until then, and written with it', async () => {
    const { tx, database, succeed, store } = await claimed()
    const bytes = Buffer.from('abc')
    const text = 'insert into notes (id, text, bytes) values (?, ?, ?)'
    expect(await tx.query(text, [1, 'one\0', bytes])).toEqual({ rows: [] })
    bytes[0] = 0
    await tx.query(text, [2n ** 62n, null, new Uint8Array([0, 255])])
    await tx.query('-- again\nupdate notes set text = ?1 || ?1 where id = 1; -- and no more', ['x'])
    await tx.query('delete from notes where id = 5')
    const all = database.prepare('select * from notes order by id')
    all.setReadBigInts(true)
    expect(all.all()).toEqual([])
    expect(await succeed()).toMatchObject([{ state: 'succeeded' }])
    expect(all.all()).toEqual([
      { id: 1n, text: 'xx', bytes: new Uint8Array([97, 98, 99]) },
      { id: 2n ** 62n, text: null, bytes: new Uint8Array([0, 255]) },
    ])
    expect(await find(store, 'a')).toMatchObject({ state: 'succeeded' })
  })

  test('is written with the end or not at all', async () => {
    const { tx, database, succeed, store } = await claimed()
    const count = () => database.prepare('select count(*) as count from notes').get()
    await tx.query(`insert into notes (text) values ('one')`)
    expect(await succeed(7)).toEqual(['fenced'])
    await tx.query(`insert into notes (text) values ('one')`) // against the table's constraint
    expect(await succeed()).toMatchObject([
      { refused: 'OFFSTAGE_BAD_OPTION', message: expect.stringContaining('UNIQUE') },
    ])
    expect(count()).toEqual({ count: 0 })
    expect(await find(store, 'a')).toMatchObject({ state: 'running' })
  })

  test.each([
    ['select 1', 'reads'],
    ['with a as (select 1) select * from a', 'reads'],
    [`insert into notes (text) values ('a') returning id`, 'reads'],
    [`explain insert into notes (text) values ('a')`, 'reads'],
    ['values (1)', 'reads'],
    ['insert into nowhere values (1)', 'no such table: nowhere'],
    ['insert in notes', 'syntax error'],
    ['', 'no statements'],
    ['-- nothing', 'no statements'],
    [`delete from notes; delete from notes`, 'more than one'],
    [`delete from notes; commit`, 'more than one'],
    [`delete from notes; pragma user_version = 3`, 'more than one'],
    ['pragma user_version = 3', 'pragma'],
    ['begin', 'begin'],
    ['  /* a */ ; -- b\n COMMIT', 'COMMIT'],
    ['end', 'end'],
    ['rollback', 'rollback'],
    ['savepoint a', 'savepoint'],
    ['release a', 'release'],
    [`attach 'a.db' as a`, 'attach'],
    ['detach a', 'detach'],
    ['vacuum', 'vacuum'],
    [`create temp table notes (id)`, 'temporary'],
    ['delete from offstage_runs', 'own tables'],
    ['DROP TABLE Offstage_Runs', 'own tables'],
    ['create trigger mine after update on offstage_runs begin select 1; end', 'own tables'],
    ['create index mine on offstage_runs (id)', 'own tables'],
  ])('cannot be: %s', async (text, why) => {
    const { tx } = one
    await expect(tx.query(text)).rejects.toEqual(refused)
    await expect(tx.query(text)).rejects.toThrow(why)
    expect(tx.statements).toEqual([])
  })

  test('cannot reach our tables by a trigger, and may read them', async () => {
    const { tx, database } = await claimed()
    database.exec('create trigger sly after insert on notes begin delete from offstage_runs; end')
    await expect(tx.query(`insert into notes (text) values ('a')`)).rejects.toThrow('own tables')
    await tx.query('update notes set text = (select state from offstage_runs where id = ?)', ['a'])
    expect(tx.statements).toHaveLength(1)
  })

  test('may make a table, and what needs it is said to be too early', async () => {
    const { tx, database, succeed } = await claimed()
    await tx.query('create table later (n)')
    await expect(tx.query('insert into later values (1)')).rejects.toThrow('no such table: later')
    await succeed()
    expect(database.prepare('select count(*) as count from later').get()).toEqual({ count: 0 })
  })

  test.each([
    ['undefined', undefined],
    ['true', true],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['a bigint of more than 64 bits', 2n ** 63n],
    ['a date', new Date(0)],
    ['an object', {}],
    ['an ArrayBuffer', new ArrayBuffer(1)],
  ])('takes no value that is %s', async (_, value) => {
    const { tx } = one
    await expect(tx.query('insert into notes (id) values (?)', [value])).rejects.toThrow('ctx.tx.query.values[0]')
    expect(tx.statements).toEqual([])
  })

  test.each<readonly [string, readonly unknown[]]>([
    ['insert into notes (id, text) values (?, ?)', [1]],
    ['insert into notes (id, text) values (?, ?)', [1, 'a', 2]],
    ['insert into notes (id) values (?3)', [1, 2]],
    ['insert into notes (id) values (:id)', []],
    ['insert into notes (id) values (:id)', [1]],
    ['delete from notes', [1]],
  ])('takes as many values as it needs, by position: %s %j', async (text, values) => {
    const { tx } = one
    await expect(tx.query(text, values)).rejects.toEqual(refused)
    expect(tx.statements).toEqual([])
  })

  test('is no text, or has no array of values: refused', async () => {
    const { tx } = one
    await expect(tx.query(1 as never)).rejects.toThrow('ctx.tx.query.text')
    await expect(tx.query('delete from notes;\0delete from notes')).rejects.toThrow('ctx.tx.query.text')
    await expect(tx.query('delete from notes', { 0: 1 } as never)).rejects.toThrow('ctx.tx.query.values')
  })

  test('is written in its order, also where nobody waited for the answers, and without those that were refused', async () => {
    const { tx } = await claimed()
    const [one, two, three] = [1, 2, 3].map((id) => `insert into notes (id) values (${id})`) as [string, string, string] // as many
    const first = tx.query(one)
    const select = tx.query('select 1').catch((error: unknown) => error)
    const others = [tx.query(two), tx.query(three)]
    const texts = () => tx.statements.map(({ text }) => text)
    expect(texts()).toEqual([one, 'select 1', two, three])
    expect(await select).toEqual(refused)
    await Promise.all([first, ...others])
    expect(texts()).toEqual([one, two, three])
  })

  test('of a store that is closed: refused', async () => {
    const { tx, store } = await claimed()
    await store.close()
    await expect(tx.query('delete from notes')).rejects.toMatchObject({ code: 'OFFSTAGE_STORE_UNAVAILABLE' })
    expect(tx.statements).toEqual([])
  })
})

describe('one store object is for one Offstage', () => {
  test('opened a second time it is refused, and the first goes on', async () => {
    const { store } = await stage()
    await expect(store.open()).rejects.toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
    expect(await store.write([{ kind: 'insert', run: newRun('a') }])).toMatchObject([
      { disposition: 'created' } satisfies Partial<Inserted>,
    ])
  })

  test('two Offstages with the same object: the second says so, and the first goes on and closes', async () => {
    const store = sqliteStore({ path: `${folder}/shared.db` })
    const silent = { debug() {}, info() {}, warn() {}, error() {} }
    const doubles = task({ name: 'doubles', durable: true, run: (n: number) => 2 * n })
    const [first, second] = [1, 2].map(() => createOffstage({ tasks: [doubles], store, logger: silent }))
    const [ready, refused] = await Promise.allSettled([first!.ready, second!.ready])
    expect(ready.status).toBe('fulfilled')
    expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'OFFSTAGE_BAD_OPTION' } })
    await second!.close()
    expect(await first!.execute(doubles, 21)).toBe(42)
    await first!.close()
  })
})

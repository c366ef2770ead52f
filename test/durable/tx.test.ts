import { DatabaseSync } from 'node:sqlite'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { memoryStore } from 'offstage/memory'
import { sqliteStore } from 'offstage/sqlite'
import { task, type DurableContext } from 'offstage'
import type { State } from '../../src/core/run-state.ts'
import type { Answer, OwnTx, Settled, Store, TxStatement, Write } from '../../src/stores/store.ts'
import { turns } from '../setup/fake-clock.ts'
import { child } from '../setup/child.ts'
import { failure, gate, stage } from '../setup/stage.ts'
import type { Place } from '../setup/stores.ts'
import { bills as billed } from './fixtures/bills.ts'
import { instances } from './instance.ts'

/** What is behind `ctx.tx`: a place for runs, and the rows that were committed with their ends. */
interface Books {
  readonly place: Place
  rows(): readonly string[]
}

/** A store with the smallest transactions there are: a statement is a row, a row is there once. */
function memoryBooks(): Books {
  const inner = memoryStore()
  const rows: string[] = []
  const carryOut = async (write: Write): Promise<Answer> => {
    if (write.kind !== 'settle' || write.tx === undefined) return (await inner.write([write]))[0]!
    const { tx, ...rest } = write
    const run = await inner.read({ kind: 'find', run: write.claim.run })
    if (run?.state !== 'running' || run.attempt !== write.claim.attempt) return 'fenced'
    const twice = tx.find(({ values }) => rows.includes(String(values[0])))
    if (twice !== undefined)
      return { refused: 'OFFSTAGE_BAD_OPTION', message: `the row ${String(twice.values[0])} is there` }
    const [answer] = await inner.write([rest])
    if (answer !== 'fenced' && (answer as Settled).state === 'succeeded')
      rows.push(...tx.map(({ values }) => String(values[0])))
    return answer!
  }
  const store: Store = {
    flights: inner.flights,
    open: () => inner.open(),
    write: async (batch) => {
      const answers: Answer[] = []
      for (const write of batch) answers.push(await carryOut(write))
      return answers
    },
    read: (question) => inner.read(question),
    wakes: (changed) => inner.wakes(changed),
    within: () => undefined,
    begin: () => ownTx(),
    close: () => inner.close(),
  }
  return { place: () => store, rows: () => rows.toSorted() }
}

function ownTx(): OwnTx {
  const statements: TxStatement[] = []
  return {
    statements,
    query: async (text, values = []) => {
      if (!text.startsWith('insert')) throw new Error(`not a statement that writes: ${text}`)
      await turns(2)
      statements.push({ text, values: values as TxStatement['values'] })
      return { rows: [] }
    },
  }
}

const folder = mkdtempSync(join(tmpdir(), 'offstage-tx-'))
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }))
let files = 0

/** The user's own table, in the store's file. */
function sqliteBooks(): Books {
  const path = join(folder, `${++files}.db`)
  const database = new DatabaseSync(path)
  onTestFinished(() => database.close())
  const made = async (): Promise<void> => {
    // The store makes its file; the user's table comes beside it.
    const store = sqliteStore({ path })
    const liveness = await store.open()
    liveness.end()
    await store.close()
    database.exec('create table bills (id text primary key)')
  }
  const first = made()
  const place: Place = () => {
    const store = sqliteStore({ path })
    return new Proxy(store, {
      get: (target, key) => {
        if (key === 'open') return async () => (await first, target.open())
        const value: unknown = Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
  const rows = (): readonly string[] =>
    database
      .prepare('select id from bills order by id')
      .all()
      .map(({ id }) => String(id))
  return { place, rows }
}

const INSERT = 'insert into bills (id) values (?)'
const write = (ctx: DurableContext, id: string): Promise<unknown> => ctx.tx!.query(INSERT, [id])

test('a store in memory has no ctx.tx', async () => {
  const none = task({ name: 'none', durable: true, run: (_: void, ctx) => ctx.tx === undefined })
  const store = memoryStore()
  expect(await instances(() => () => store)([none]).offstage.execute(none)).toBe(true)
})

describe.each([
  ['memory', memoryBooks],
  ['sqlite', sqliteBooks],
] as const)('ctx.tx of a store in %s:', (_, newBooks) => {
  const instance = instances(() => {
    throw new Error('each test has books of its own')
  })

  test("the row and the run's end are there together, exactly once; not before", async () => {
    const books = newBooks()
    const written = gate()
    const over = gate()
    const bills = task({
      name: 'bills',
      durable: true,
      run: async (id: string, ctx) => {
        expect(await write(ctx, id)).toEqual({ rows: [] })
        written.open()
        await over.opened
        return ctx.tx === ctx.tx
      },
    })
    const { offstage } = instance([bills], { place: books.place })
    const handle = await offstage.start(bills, 'a')
    await written.opened
    expect(books.rows()).toEqual([])
    over.open()
    expect(await handle.result()).toBe(true)
    expect(books.rows()).toEqual(['a'])
  })

  test('a statement that nobody awaited is part of the end', async () => {
    const books = newBooks()
    const bills = task({ name: 'bills', durable: true, run: async (_: void, ctx) => void write(ctx, 'a') })
    await instance([bills], { place: books.place }).offstage.execute(bills)
    expect(books.rows()).toEqual(['a'])
  })

  test('code that fails, or sleeps, has written nothing', async () => {
    const books = newBooks()
    const bills = task({
      name: 'bills',
      durable: true,
      retry: { attempts: 2, initial: 1 },
      run: async (_: void, ctx) => {
        await write(ctx, `of attempt ${ctx.attempt}`)
        if (ctx.attempt === 1) throw new Error('again')
        await ctx.sleep('a', 50)
      },
    })
    await instance([bills], { place: books.place }).offstage.execute(bills)
    expect(books.rows()).toEqual(['of attempt 3'])
  })

  test('a statement that the database refuses at the end fails the attempt, and the retry policy has its say', async () => {
    const books = newBooks()
    const seen: unknown[] = []
    const bills = task({
      name: 'bills',
      durable: true,
      retry: { attempts: 3, initial: 1, when: (error) => seen.push((error as { code: string }).code) > 0 },
      run: async (id: string, ctx) => {
        await write(ctx, `fresh ${id} ${ctx.attempt}`)
        await write(ctx, ctx.attempt < 3 ? 'there' : id)
        return ctx.attempt
      },
    })
    const one = instance([bills], { place: books.place })
    const first = task({ name: 'first', durable: true, run: (_: void, ctx) => write(ctx, 'there').then(() => {}) })
    await instance([first], { place: books.place }).offstage.execute(first)
    const handle = await one.offstage.start(bills, 'mine')
    expect(await handle.result()).toBe(3)
    expect(books.rows()).toEqual(['fresh mine 3', 'mine', 'there'])
    expect(seen).toEqual(['OFFSTAGE_BAD_OPTION', 'OFFSTAGE_BAD_OPTION'])
    expect(await handle.status()).toMatchObject({ tries: 3 })
    expect(one.told.map(({ name }) => name).filter((name) => name === 'run:retried')).toHaveLength(2)
  })

  test('without a try left it is the failure of the run', async () => {
    const books = newBooks()
    const bills = task({
      name: 'bills',
      durable: true,
      retry: 1,
      run: async (id: string, ctx) => void (await write(ctx, id)),
    })
    const one = instance([bills], { place: books.place })
    await one.offstage.execute(bills, 'a')
    expect((await failure(one.offstage.execute(bills, 'a'))).cause).toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
    expect(books.rows()).toEqual(['a'])
  })

  test('an attempt that lost its run has written nothing', async () => {
    const books = newBooks()
    const held = gate()
    const bills = task({
      name: 'bills',
      durable: true,
      run: async (_: void, ctx) => {
        await write(ctx, `of attempt ${ctx.attempt}`)
        if (ctx.attempt === 1) await held.opened
        return ctx.attempt
      },
    })
    const one = instance([bills], { place: books.place })
    const handle = await one.offstage.start(bills)
    await one.seen('run:started')
    await turns()
    const two = instance([bills], { place: books.place, worker: false })
    await two.offstage.handle(bills, handle.id).status()
    const { instance: holder } = (await two.store.read({ kind: 'find', run: handle.id }))!
    await two.store.write([{ kind: 'rescue', dead: [holder!], limit: 10 }])
    expect(await handle.result()).toBe(2)
    held.open()
    await turns()
    expect(books.rows()).toEqual(['of attempt 2'])
  })

  test.each(['before', 'after'] as const)(
    'a reply that is lost %s the commit repeats the end, and writes once',
    async (moment) => {
      const books = newBooks()
      const bills = task({ name: 'bills', durable: true, run: async (id: string, ctx) => void (await write(ctx, id)) })
      const one = instance([bills], { place: books.place })
      await one.offstage.ready
      one.store.fail('settle', moment, 3)
      const handle = await one.offstage.start(bills, 'a')
      await handle.result()
      expect(await handle.status()).toMatchObject({ state: 'succeeded', attempt: 1 })
      expect(books.rows()).toEqual(['a'])
      expect(one.told.map(({ name }) => name)).toEqual(['run:started', 'run:succeeded'])
    },
  )
})

test('on a thread it is all the same: waiting, logging, writing, and the input of an older version', async () => {
  const path = join(folder, 'threaded.db')
  const place: Place = () => sqliteStore({ path })
  const old = task({ name: 'threaded', durable: true, run: (words: string) => words })
  const starter = instances(() => place)([old], { worker: false })
  const handle = await starter.offstage.start(old, 'words')
  using database = new DatabaseSync(path)
  database.exec('create table bills (run text, attempt integer)')
  const one = stage({
    tasks: new URL('fixtures/threaded.ts', import.meta.url).href,
    store: place(),
    threads: { size: 1 },
    worker: { concurrency: 1 },
  })
  await expect.poll(async () => (await handle.status()).waitingFor, { timeout: 10_000 }).toBe('go')
  await one.offstage.signal(handle.id, 'go', { by: 'hand' })
  expect(await handle.result()).toEqual(['words, of version 2', 3, { by: 'hand' }])
  expect(await handle.status()).toMatchObject({ tries: 1, thread: false })
  expect(database.prepare('select * from bills').all()).toEqual([{ run: handle.id, attempt: 3 }])
  const { logs } = (await starter.store.read({ kind: 'details', run: handle.id }))!
  expect(logs.map(({ attempt, message }) => `${attempt}: ${message}`)).toEqual([
    '1: attempt 1',
    '2: attempt 2',
    '3: attempt 3',
  ])
}, 30_000)

test('a process that is killed has written both, the row and the end, or neither; all of it is there once in the end', async () => {
  const path = join(folder, 'killed.db')
  const place: Place = () => sqliteStore({ path })
  const instance = instances(() => place)
  const looker = instance([billed], { place, worker: false })
  await failure(looker.offstage.handle(billed, '01890000-0000-7000-8000-000000000000').status())
  using database = new DatabaseSync(path)
  database.exec('create table bills (run text, attempt integer)')
  const written = (): readonly unknown[] =>
    database
      .prepare('select run from bills order by run')
      .all()
      .map(({ run }) => run)
  const ids = async (state: State): Promise<readonly string[]> => {
    const runs = await looker.store.read({ kind: 'list', filter: { state }, before: null, limit: 100_000 })
    return runs.map(({ id }) => id).toSorted()
  }

  for (const many of [5, 15]) {
    const biller = child(new URL('fixtures/biller.ts', import.meta.url), { args: [path] })
    await biller.heard('ready')
    await expect.poll(() => written().length, { interval: 5, timeout: 10_000 }).toBeGreaterThan(many)
    biller.process.kill('SIGKILL')
    await biller.ended
    expect(written()).toEqual(await ids('succeeded'))
  }

  const last = instance([billed], { place })
  await last.offstage.ready
  const left = async (): Promise<number> => (await ids('waiting')).length + (await ids('running')).length
  await expect.poll(left, { timeout: 20_000 }).toBe(0)
  expect(written()).toEqual(await ids('succeeded'))
  expect(await ids('failed')).toEqual([])
}, 60_000)

import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import * as claims from '../../src/stores/sqlite/sql/claims.ts'
import * as ends from '../../src/stores/sqlite/sql/ends.ts'
import * as inserts from '../../src/stores/sqlite/sql/inserts.ts'
import * as questions from '../../src/stores/sqlite/sql/questions.ts'
import * as rescues from '../../src/stores/sqlite/sql/rescues.ts'
import { MIGRATIONS } from '../../src/stores/sqlite/sql/schema.ts'
import * as writes from '../../src/stores/sqlite/sql/writes.ts'
import type { DetailsRecord, Write } from '../../src/stores/store.ts'
import { openedIn, tempFolder, withoutThreads } from './sqlite-world.ts'

const folder = tempFolder()
const me = { id: 'me', pid: 1, boot: 'b', began: '1', pidNamespace: 'n' }
const claim: Write = {
  kind: 'claim',
  instance: 'me',
  can: [{ task: 't', version: 1, thread: false, upcasts: false }],
  places: { all: 9, threads: 9, suspects: 1 },
}
const insert = (id: string, timeout: number | null, delay = 0): Write => {
  const policy = { task: 't', version: 1, thread: false, queue: 'q', priority: 0, maxAttempts: 1, timeout } as const
  const rest = {
    input: null,
    delay,
    at: null,
    onCrash: 'retry',
    owner: null,
    tags: [],
    parent: null,
    idempotency: null,
  } as const
  return { kind: 'insert', run: { id, ...policy, ...rest } }
}

describe('no statement reads more runs than it is about', () => {
  const database = new DatabaseSync(':memory:')
  for (const migration of MIGRATIONS) database.exec(migration)

  const planOf = (text: string) =>
    database
      .prepare(`explain query plan ${text}`)
      .all()
      .map((step) => String(step['detail']))

  // A tally counts all there are.
  const { tally: _, ...others } = questions
  const texts = [claims, ends, inserts, rescues, writes, others].flatMap((module) => Object.entries<string>(module))
  test.each(texts)('%s', (_name, text) => {
    const scans = planOf(text).filter((step) => /^SCAN offstage_(?!instances|kinds)/.test(step))
    expect(scans).toEqual([])
  })

  test('what may be claimed is read from the index alone, of one kind, in its order', () => {
    expect(planOf(claims.candidates)).toEqual([
      'SEARCH offstage_runs USING COVERING INDEX offstage_runs_alive (stage=? AND <expr>=?)',
    ])
    expect(planOf(claims.claimed).join()).not.toContain('ORDER BY')
  })

  test('what is due next is the first of the index, and what has become due the first few', () => {
    expect(planOf(claims.nextDue)).toEqual(['SEARCH offstage_runs USING COVERING INDEX offstage_runs_alive (stage=?)'])
    expect(planOf(claims.due).join()).toContain('<expr>=? AND <expr>=? AND due_at<?')
  })

  test('a page of a list is read from its place, in order', () => {
    const plan = planOf(questions.list).join()
    expect(plan).toContain('(id<?)')
    expect(plan).not.toContain('ORDER BY')
  })

  test('the oldest that ended are read from the index alone', () => {
    expect(planOf(rescues.ended)).toEqual([
      'SEARCH offstage_runs USING COVERING INDEX offstage_runs_ended (state=? AND finished_at<?)',
    ])
  })
})

test('a store that has nothing to do writes nothing', async () => {
  const path = `${folder}/idle.db`
  const { store } = await openedIn(path)
  await store.write([{ kind: 'presence', instance: me, change: 'joins', can: [] }, insert('later', null, 1_000)])
  const before = statSync(`${path}-wal`)
  await store.write([
    claim,
    { kind: 'rescue', dead: [], limit: 9 },
    { kind: 'control', run: 'nobody', verb: 'cancel', reason: null },
  ])
  await store.write([claim, { kind: 'rescue', dead: ['nobody'], limit: 9 }])
  expect(statSync(`${path}-wal`)).toMatchObject({ size: before.size, mtimeMs: before.mtimeMs })
  await store.close()
})

test('an attempt’s deadline is its timeout and a second more, and goes with it', async () => {
  const path = `${folder}/deadline.db`
  const { store, clock } = await openedIn(path)
  const born: Write = { ...(insert('born', 500) as Extract<Write, { kind: 'insert' }>), claimFor: 'me' } // it is an insert
  await store.write([
    { kind: 'presence', instance: me, change: 'joins', can: [] },
    born,
    insert('claimed', 700),
    insert('endless', null),
  ])
  await clock.pass(50)
  await store.write([claim])
  const database = new DatabaseSync(path, { readOnly: true })
  const deadlines = () => database.prepare('select id, deadline from offstage_runs order by id').all()
  const now = clock.now()
  expect(deadlines()).toEqual([
    { id: 'born', deadline: now + 1_450 },
    { id: 'claimed', deadline: now + 1_700 },
    { id: 'endless', deadline: null },
  ])
  await store.write([{ kind: 'settle', claim: { run: 'claimed', attempt: 1 }, outcome: { kind: 'released' } }])
  expect(deadlines()[1]).toEqual({ id: 'claimed', deadline: null })
  database.close()
  await store.close()
})

test('of a run whose attempts pass their deadline again and again the latest 100 are kept', () => {
  using store = withoutThreads(`${folder}/again.db`)
  const endless = insert('endless', 10) as Extract<Write, { kind: 'insert' }> // it is an insert
  store.write({ kind: 'presence', instance: me, change: 'joins', can: [] })
  store.write({ ...endless, run: { ...endless.run, maxAttempts: 1_000 } })
  for (let attempt = 1; attempt <= 102; attempt++) {
    store.write(claim)
    store.pass(1_011)
    expect(store.write({ kind: 'rescue', dead: [], limit: 9 })).toEqual([{ dead: [], waiting: ['endless'], ended: [] }])
  }
  const { attempts } = store.read({ kind: 'details', run: 'endless' }) as DetailsRecord // the run is there
  expect(attempts.map(({ attempt }) => attempt)).toEqual(Array.from({ length: 100 }, (_, index) => index + 3))
})

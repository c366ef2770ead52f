import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import * as questions from '../../src/stores/sqlite/sql/questions.ts'
import { MIGRATIONS } from '../../src/stores/sqlite/sql/schema.ts'
import * as writes from '../../src/stores/sqlite/sql/writes.ts'
import type { Write } from '../../src/stores/store.ts'
import { openedIn, tempFolder } from './sqlite-world.ts'

const folder = tempFolder()
const me = { id: 'me', pid: 1, boot: 'b', began: '1', pidNamespace: 'n' }
const claim: Write = {
  kind: 'claim',
  instance: 'me',
  can: [{ task: 't', version: 1, thread: false }],
  places: { all: 9, threads: 9 },
}
const insert = (id: string, timeout: number | null, delay = 0): Write => {
  const policy = { task: 't', version: 1, thread: false, queue: 'q', priority: 0, maxAttempts: 1, timeout } as const
  const rest = { input: null, delay, at: null, onCrash: 'retry', owner: null, tags: [], parent: null } as const
  return { kind: 'insert', run: { id, ...policy, ...rest } }
}

describe('no statement reads more runs than it is about', () => {
  const database = new DatabaseSync(':memory:')
  for (const migration of MIGRATIONS) database.exec(migration)

  test.each(Object.entries({ ...writes, ...questions }))('%s', (_, text) => {
    const plan = database.prepare(`explain query plan ${text}`).all()
    const steps = plan.map((step) => String(step['detail']))
    expect(steps.filter((step) => /^SCAN (?:runs|events|steps)/.test(step))).toEqual([])
  })

  test('those that are claimed are read in their order', () => {
    const plan = database.prepare(`explain query plan ${writes.candidates}`).all()
    expect(plan.map((step) => String(step['detail'])).join()).not.toContain('ORDER BY')
  })
})

test('a store that has nothing to do writes nothing', async () => {
  const path = `${folder}/idle.db`
  const { store } = await openedIn(path)
  await store.write([{ kind: 'presence', instance: me, change: 'joins' }, insert('later', null, 1_000)])
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
    { kind: 'presence', instance: me, change: 'joins' },
    born,
    insert('claimed', 700),
    insert('endless', null),
  ])
  await clock.pass(50)
  await store.write([claim])
  const database = new DatabaseSync(path, { readOnly: true })
  const deadlines = () => database.prepare('select id, deadline from runs order by id').all()
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

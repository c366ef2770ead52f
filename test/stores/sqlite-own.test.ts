import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { succeeded } from '../../src/core/outcome.ts'
import type { TxStatement, Write } from '../../src/stores/store.ts'
import { tempFolder, withoutThreads } from './sqlite-world.ts'

// Statements of `ctx.tx` where they are carried out, past the door that refuses most of these: whatever they are, the batch that they
// are part of is written for all the others, and what is acknowledged is on disk.
const folder = tempFolder()
const RUNS = ['1', '2', '3']
let count = 0

function stage() {
  const path = `${folder}/${++count}.db`
  const store = withoutThreads(path)
  onTestFinished(() => store[Symbol.dispose]())
  const own = new DatabaseSync(path)
  onTestFinished(() => own.close())
  own.exec(`create table notes (text unique, note references notes (text) deferrable initially deferred)`)
  own.exec(`insert into notes (text) values ('there')`)
  store.write({
    kind: 'presence',
    instance: { id: 'me', pid: 1, boot: 'b', began: '1', pidNamespace: 'n' },
    change: 'joins',
    can: [],
  })
  const policy = {
    task: 't',
    version: 1,
    thread: false,
    queue: 'q',
    priority: 0,
    maxAttempts: 9,
    timeout: null,
  } as const
  const rest = { input: null, delay: 0, at: null, onCrash: 'retry', owner: null, tags: [], parent: null } as const
  for (const id of RUNS)
    store.write({ kind: 'insert', run: { id, ...policy, ...rest, idempotency: null }, claimFor: 'me' })
  const states = () =>
    RUNS.map((run) => (store.read({ kind: 'find', run }) as { readonly state: string } | undefined)?.state)
  const notes = () => own.prepare('select text from notes order by rowid').all()
  return { store, own, states, notes }
}
const settle = (run: string, ...texts: readonly string[]): Write => ({
  kind: 'settle',
  claim: { run, attempt: 1 },
  outcome: succeeded(null),
  tx: texts.map((text): TxStatement => ({ text, values: [] })),
})

test.each([
  ['what SQLite does not understand', 'insert in notes', 'syntax'],
  ['a table that is gone', 'insert into nowhere values (1)', 'no such table'],
  ['a constraint', `insert into notes (text) values ('there')`, 'UNIQUE'],
  ['a constraint that rolls back everything', `insert or rollback into notes (text) values ('there')`, 'UNIQUE'],
  ['a constraint that is looked at with the commit', `insert into notes values ('new', 'nowhere')`, 'FOREIGN KEY'],
  ['a commit', 'commit', 'transaction'],
  ['a rollback', 'rollback', 'transaction'],
  ['the savepoint it is in', 'release offstage_own', 'savepoint'],
  ['a pragma', 'pragma foreign_keys = 0', 'pragma'],
  ['our own tables', `update offstage_runs set state = 'failed'`, 'own tables'],
])('%s refuses that end alone, and nothing of it is written', (_, text, why) => {
  const { store, states, notes } = stage()
  const [first, second, third] = store.write(
    settle('1'),
    settle('2', `insert into notes (text) values ('first')`, text),
    settle('3'),
  )
  expect([first, third]).toMatchObject([{ state: 'succeeded' }, { state: 'succeeded' }])
  expect(second).toMatchObject({ refused: 'OFFSTAGE_BAD_OPTION', message: expect.stringContaining(why) })
  expect(states()).toEqual(['succeeded', 'running', 'succeeded'])
  expect(notes()).toEqual([{ text: 'there' }])
})

test('several ends of one batch have statements of their own, each seeing those before', () => {
  const { store, states, notes } = stage()
  const copy = `insert into notes (text) select count(*) from notes`
  expect(store.write(...RUNS.map((run) => settle(run, copy, copy)))).toMatchObject(
    RUNS.map(() => ({ state: 'succeeded' })),
  )
  expect(states()).toEqual(RUNS.map(() => 'succeeded'))
  expect(notes()).toHaveLength(7)
})

test('a table of the task that is damaged refuses that end alone: the store is sound', () => {
  const { store, states, own } = stage()
  own.exec(`create virtual table words using fts5 (text, content = 'notes')`) // its index lacks the row that is there
  const [first, second, third] = store.write(
    settle('1'),
    settle('2', `insert into words (words, rank) values ('integrity-check', 1)`),
    settle('3'),
  )
  expect([first, third]).toMatchObject([{ state: 'succeeded' }, { state: 'succeeded' }])
  expect(second).toMatchObject({ refused: 'OFFSTAGE_BAD_OPTION', message: expect.stringContaining('malformed') })
  expect(states()).toEqual(['succeeded', 'running', 'succeeded'])
})

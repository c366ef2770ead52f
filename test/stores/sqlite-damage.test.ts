import type { Rescued } from '../../src/stores/store.ts'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import type { Write } from '../../src/stores/store.ts'
import { tempFolder, withoutThreads } from './sqlite-world.ts'

// Rows that were damaged by hand, past the checks: the runs beside them must go on.
const folder = tempFolder()
const can = [{ task: 't', version: 1, thread: false, upcasts: false }]
const joins = (id: string): Write => ({
  kind: 'presence',
  instance: { id, pid: 1, boot: 'b', began: '1', pidNamespace: 'n' },
  change: 'joins',
  can,
})
const claim = (all: number): Write => ({
  kind: 'claim',
  instance: 'me',
  can,
  places: { all, threads: 0, suspects: 1 },
})
const rescue: Write = { kind: 'rescue', dead: ['gone'], limit: 100 }
const insert = (id: string, delay = 0): Write => {
  const policy = {
    task: 't',
    version: 1,
    thread: false,
    queue: 'q',
    priority: 0,
    maxAttempts: 9,
    timeout: null,
  } as const
  const rest = { input: null, delay, at: null, onCrash: 'retry', owner: null, tags: ['a'], parent: null } as const
  return { kind: 'insert', run: { id, ...policy, ...rest, idempotency: null } }
}

let count = 0
function world() {
  const path = `${folder}/${++count}.db`
  const store = withoutThreads(path)
  onTestFinished(() => store[Symbol.dispose]())
  const damage = (id: string, change: string) => {
    const other = new DatabaseSync(path)
    other.exec('pragma ignore_check_constraints = on')
    expect(other.prepare(`update offstage_runs set ${change} where id = ?`).run(id).changes).toBe(1)
    other.close()
  }
  return { ...store, damage }
}
const idsOf = (answer: unknown) => (answer as { claimed: { id: string }[] }).claimed.map(({ id }) => id) // as a claim answers

const WAITING = [
  `state = 'resting'`,
  `tries = 5`,
  `state = 'running'`,
  `instance = 'somebody'`,
  `tags = '{not json'`,
  `error = '{not json'`,
  `progress = 'x'`,
  `input = '{not json'`,
  `kind = 77`,
]
test.each(WAITING)('a waiting run with %s stops no claim of the others', (change) => {
  const { write, read, damage } = world()
  write(joins('me'), insert('1'), insert('2'), insert('3'))
  damage('1', change)
  const taken = [1, 2, 3, 4].flatMap(() => idsOf(write(claim(1))[0]))
  expect(taken.filter((id) => id !== '1')).toEqual(['2', '3'])
  const listed = read({ kind: 'list', filter: {}, before: null, limit: 9 }) as readonly { id: string }[]
  expect(listed.map(({ id }) => id)).toEqual(['3', '2', '1'])
  expect(read({ kind: 'list', filter: { tag: 'a' }, before: null, limit: 9 })).toHaveLength(
    change.startsWith('tags') ? 2 : 3,
  )
  expect(Object.values(read({ kind: 'tally', filter: {} }) as object).reduce((a, b) => a + b, 0)).toBe(3)
})

test.each([`state = 'resting'`, `finished_at = 1`, `due_at = 9e18`, `tries = 5`])(
  'a run that is due later, with %s, stops none that become due',
  (change) => {
    const { write, damage, pass } = world()
    write(joins('me'), insert('1', 10), insert('2', 20))
    damage('1', change)
    pass(30)
    const taken = [1, 2, 3].flatMap(() => idsOf(write(claim(1))[0]))
    expect(taken.filter((id) => id !== '1')).toEqual(['2'])
    // What cannot be promoted must not be asked for again and again.
    expect(write(claim(0))[0]).not.toMatchObject({ next: 0 })
  },
)

test.each([
  [`instance = null`, 'waiting'],
  [`state = 'resting'`, 'waiting'],
  [`error = 'x', progress = 'x', tags = 'x', input = 'x'`, 'waiting'],
  [`attempt = 1000, tries = 1000`, 'failed'],
  [`started_at = null`, 'waiting'],
  [`tries = 5`, 'failed'],
  [`crashes = -7`, 'waiting'],
])('a running run with %s stops no rescue of the others, and is then %s', (change, state) => {
  const { write, read, damage } = world()
  write(joins('me'), joins('gone'))
  for (const id of ['1', '2', '3']) write({ ...insert(id), claimFor: 'gone' } as Write) // it is an insert
  damage('1', change)
  const [answer] = write(rescue)
  const { waiting, ended } = answer as Rescued // as a rescue answers
  expect([...waiting, ...ended].filter((id) => id !== '1').toSorted()).toEqual(['2', '3'])
  expect(read({ kind: 'find', run: '1' })).toMatchObject({ state })
  expect(write(rescue)[0]).toEqual({ dead: [], waiting: [], ended: [] })
})

test('a running run without an instance is taken back without being told of anybody dead', () => {
  const { write, read, damage } = world()
  write(joins('me'), { ...insert('1'), claimFor: 'me' } as Write) // it is an insert
  expect(read({ kind: 'overdue' })).toBe(false)
  damage('1', 'instance = null')
  expect(read({ kind: 'overdue' })).toBe(true)
  expect(write({ kind: 'rescue', dead: [], limit: 9 })).toEqual([{ dead: [], waiting: ['1'], ended: [] }])
  expect(read({ kind: 'overdue' })).toBe(false)
})

test('a run that cannot be read says so itself', () => {
  const { write, read, damage } = world()
  write(joins('me'), insert('1'), insert('2'))
  damage('1', `state = 'resting', tags = '{', progress = '['`)
  expect(read({ kind: 'find', run: '1' })).toMatchObject({
    state: 'failed',
    tags: [],
    progress: null,
    error: { code: 'OFFSTAGE_STORE_CORRUPT', message: expect.stringContaining('resting') },
  })
  damage('2', `error = '{'`)
  expect(read({ kind: 'find', run: '2' })).toMatchObject({
    state: 'waiting',
    error: { code: 'OFFSTAGE_STORE_CORRUPT' },
  })
})

test('what was set aside can be removed, and nothing else', () => {
  const { write, read, damage } = world()
  write(joins('me'), insert('1'), insert('2'))
  damage('1', 'tries = 5')
  expect(idsOf(write(claim(9))[0])).toEqual(['2'])
  const control = (verb: 'cancel' | 'rerun' | 'remove'): Write => ({ kind: 'control', run: '1', verb, reason: null })
  expect(write(control('cancel'), control('rerun'))).toMatchObject([{ done: false }, { done: false }])
  expect(read({ kind: 'find', run: '1' })).toMatchObject({ state: 'failed', error: { code: 'OFFSTAGE_STORE_CORRUPT' } })
  expect(write(control('remove'))).toMatchObject([{ done: true }])
  expect(read({ kind: 'find', run: '1' })).toBe(undefined)
})

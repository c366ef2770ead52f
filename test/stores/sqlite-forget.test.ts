import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { succeeded } from '../../src/core/outcome.ts'
import { tempFolder, withoutThreads } from './sqlite-world.ts'

const folder = tempFolder()
const policy = { task: 't', version: 1, thread: false, queue: 'q', priority: 0, maxAttempts: 1, timeout: null } as const
const rest = { input: null, delay: 0, at: null, onCrash: 'retry', owner: null, tags: [], parent: null } as const
const me = { id: 'me', pid: 1, boot: 'b', began: '1', pidNamespace: 'n' }
const retention = { succeeded: 0, failed: 0, canceled: 0 }

/** Six ended runs; the first, the second and the fifth are referred to by a row of the user's. */
function stage(name: string) {
  const path = `${folder}/${name}.db`
  const store = withoutThreads(path)
  onTestFinished(() => store[Symbol.dispose]())
  store.write({ kind: 'presence', instance: me, change: 'joins', can: [] })
  const ids = ['1', '2', '3', '4', '5', '6']
  for (const id of ids) {
    store.write({ kind: 'insert', run: { id, ...policy, ...rest, idempotency: null }, claimFor: 'me' })
    store.write({ kind: 'settle', claim: { run: id, attempt: 1 }, outcome: succeeded(null) })
    store.pass(1)
  }
  const own = new DatabaseSync(path)
  onTestFinished(() => own.close())
  own.exec('create table orders (run text references offstage_runs (id))')
  own.exec(`insert into orders values ('1'), ('2'), ('5')`)
  return { store, own, left: () => ids.filter((run) => store.read({ kind: 'find', run }) !== undefined) }
}

test('what a row of the user refers to is kept, and all else is forgotten', () => {
  const { store, own, left } = stage('age')
  const prune = { kind: 'prune', retention: { ...retention, maxBytes: null }, limit: 2 } as const
  expect(store.write(prune)).toEqual([{ removed: 2 }])
  expect(left()).toEqual(['1', '2', '5', '6'])
  expect(store.write(prune)).toEqual([{ removed: 1 }])
  expect(store.write(prune)).toEqual([{ removed: 0 }])
  expect(left()).toEqual(['1', '2', '5'])
  own.exec('delete from orders')
  expect(store.write({ ...prune, limit: 9 })).toEqual([{ removed: 3 }])
})

test('it is kept where there is too much, too', () => {
  const { store, left } = stage('room')
  const long = { succeeded: 1e12, failed: 1e12, canceled: 1e12, maxBytes: 0 }
  const removed = () => {
    const [answer] = store.write({ kind: 'prune', retention: long, limit: 6 })
    return (answer as { readonly removed: number }).removed
  }
  // One commit takes as many as it has time for.
  let all = 0
  for (let some = removed(); some > 0; some = removed()) all += some
  expect(all).toBe(3)
  expect(left()).toEqual(['1', '2', '5'])
})

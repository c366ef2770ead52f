import { expect, onTestFinished, test } from 'vitest'
import type { Write } from '../../src/stores/store.ts'
import { tempFolder, withoutThreads } from './sqlite-world.ts'

// Runs lie by their kind (a task at a version): small numbers that processes share by the database alone.
const folder = tempFolder()
const joins: Write = {
  kind: 'presence',
  instance: { id: 'me', pid: 1, boot: 'b', began: '1', pidNamespace: 'n' },
  change: 'joins',
  can: [],
}
const insert = (id: string, task: string, queue: string | null = 'q'): Write => {
  const policy = { task, version: 1, thread: false, queue, priority: 0, maxAttempts: 9, timeout: null } as never // no queue: it breaks its batch
  const rest = { input: null, delay: 0, at: null, onCrash: 'retry', owner: null, tags: [], parent: null } as const
  return { kind: 'insert', run: { ...(policy as object), id, ...rest, idempotency: null } as never } // as just above
}
const claim = (...tasks: readonly string[]): Write => ({
  kind: 'claim',
  instance: 'me',
  can: tasks.map((task) => ({ task, version: 1, thread: false, upcasts: false })),
  places: { all: 9, threads: 0, suspects: 1 },
})
const idsOf = (answer: unknown) => (answer as { claimed: { id: string }[] }).claimed.map(({ id }) => id) // as a claim answers

let count = 0
function two() {
  const path = `${folder}/${++count}.db`
  const both = [withoutThreads(path), withoutThreads(path)] as const
  onTestFinished(() => both.forEach((one) => one[Symbol.dispose]()))
  return both
}

test('a kind that another process added is known at the next claim', () => {
  const [here, there] = two()
  here.write(joins)
  expect(idsOf(here.write(claim('a', 'b'))[0])).toEqual([])
  there.write(insert('1', 'a'))
  expect(idsOf(here.write(claim('a', 'b'))[0])).toEqual(['1'])
  there.write(insert('2', 'a'), insert('3', 'b'))
  here.write(insert('4', 'b'))
  expect(idsOf(here.write(claim('b'))[0])).toEqual(['3', '4'])
  expect(idsOf(there.write(claim('b', 'a'))[0])).toEqual(['2'])
})

test('a kind whose transaction was rolled back is added anew', () => {
  const [here, there] = two()
  here.write(joins)
  expect(here.write(insert('1', 'a'), insert('2', 'a', null))).toMatchObject([
    { disposition: 'created' },
    { refused: 'OFFSTAGE_BAD_OPTION' },
  ])
  // The number it had for a moment may be that of another kind.
  expect(there.write(insert('3', 'b', null), insert('4', 'c'))).toMatchObject([{ refused: 'OFFSTAGE_BAD_OPTION' }, {}])
  here.write(insert('5', 'b'))
  expect(idsOf(there.write(claim('b'))[0])).toEqual(['5'])
  expect(idsOf(there.write(claim('a'))[0])).toEqual(['1'])
  expect(idsOf(here.write(claim('c'))[0])).toEqual(['4'])
})

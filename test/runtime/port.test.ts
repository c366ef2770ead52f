import { MessageChannel } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { answering, Asker, besides } from '../../src/runtime/port.ts'
import { failure } from '../setup/stage.ts'

type Sums = {
  readonly add: readonly [{ readonly a: number; readonly b: number }, number]
  readonly later: readonly [number, string]
  readonly fail: readonly [unknown, never]
  readonly take: readonly [ArrayBuffer, number]
}

function channel() {
  const { port1, port2 } = new MessageChannel()
  onTestFinished(() => port1.close())
  const gates = new Map<number, () => void>()
  answering<Sums>(
    port2,
    {
      add: ({ a, b }) => a + b,
      later: (n) => new Promise((resolve) => gates.set(n, () => resolve(`answer ${n}`))),
      fail: (what) => {
        throw what
      },
      take: (buffer) => buffer.byteLength,
    },
    (error) => ({ told: error instanceof Error ? error.message : error }),
  )
  return { asker: new Asker<Sums>(port1), gates, port1, port2 }
}

test('each question gets its own answer, in whatever order they come', async () => {
  const { asker, gates } = channel()
  const answers = [1, 2, 3].map((n) => asker.ask('later', n))
  expect(await asker.ask('add', { a: 2, b: 3 })).toBe(5)
  for (const n of [3, 1, 2]) gates.get(n)?.()
  expect(await Promise.all(answers)).toEqual(['answer 1', 'answer 2', 'answer 3'])
})

test('what the other side throws, or rejects with, comes back as it tells it', async () => {
  const { asker } = channel()
  expect(await failure(asker.ask('fail', 'no'))).toEqual({ told: 'no' })
  expect(await failure(asker.ask('fail', null))).toEqual({ told: null })
})

test('what cannot be cloned rejects, and nobody waits for its answer; the next question is answered', async () => {
  const { asker } = channel()
  expect(await failure((async () => asker.ask('fail', () => 1))())).toMatchObject({ name: 'DataCloneError' })
  expect(await asker.ask('add', { a: 1, b: 1 })).toBe(2)
})

test('what is transferred is gone here and there in full', async () => {
  const { asker } = channel()
  const buffer = new ArrayBuffer(8)
  expect(await asker.ask('take', buffer, [buffer])).toBe(8)
  expect(buffer.byteLength).toBe(0)
})

describe('when the other side is gone', () => {
  test('everything open rejects with why, and so does whatever is asked later', async () => {
    const { asker, gates } = channel()
    const open = [asker.ask('later', 1), asker.ask('later', 2)].map((answer) => failure(answer))
    await asker.ask('add', { a: 1, b: 1 })
    const gone = new Error('the thread has ended')
    asker.break(gone)
    expect(await Promise.all(open)).toEqual([gone, gone])
    expect(await failure(asker.ask('add', { a: 1, b: 1 }))).toBe(gone)
    gates.get(1)?.() // an answer that comes after that is nobody's
  })
})

test('messages that are neither question nor answer are left to others', async () => {
  const { asker, port1, port2 } = channel()
  const heard: unknown[] = []
  port1.on('message', (message) => heard.push(message))
  port2.postMessage({ kind: 'progress' })
  expect(await asker.ask('add', { a: 1, b: 1 })).toBe(2)
  expect(heard).toContainEqual({ kind: 'progress' })
})

test.each([
  ['file:///a/src/threads/pool.ts', 'file:///a/src/threads/entry.ts'],
  ['file:///a/dist/threads/pool.js', 'file:///a/dist/threads/entry.js'],
])('a module beside %s is %s', (here, there) => {
  expect(besides(here, 'entry').href).toBe(there)
})

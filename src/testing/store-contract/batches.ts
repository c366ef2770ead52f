import { deepEqual, equal, ok } from 'node:assert/strict'
import { succeeded } from '../../core/outcome.ts'
import type { Write } from '../../stores/store.ts'
import type { StorePromise } from './promise.ts'
import { registered, type World } from './world.ts'

/** Its version is no whole number: no store can keep it. */
const impossible = (world: World): Write => ({ kind: 'insert', run: world.run({ version: 1.5 }) })

export const batches: readonly StorePromise[] = [
  {
    promise: 'a write that cannot be done is refused, and its neighbours are done',
    keep: async (world) => {
      for (const [size, bad] of [
        [1, [0]],
        [2, [1]],
        [9, [0, 4, 5]],
        [16, [15]],
      ] as const) {
        const good = Array.from({ length: size }, () => world.run())
        const isBad = (index: number): boolean => bad.some((one) => one === index)
        const batch = good.map((run, index): Write => (isBad(index) ? impossible(world) : { kind: 'insert', run }))
        const answers = await world.store.write(batch)
        equal(answers.length, size)
        for (const [index, run] of good.entries()) {
          const answer = answers[index]
          ok(typeof answer === 'object')
          equal('refused' in answer, isBad(index))
          equal((await world.store.read({ kind: 'find', run: run.id })) !== undefined, !isBad(index))
        }
      }
    },
  },
  {
    promise: 'a refusal carries a code and a sentence',
    keep: async (world) => {
      const [answer] = await world.store.write([impossible(world)])
      ok(typeof answer === 'object' && 'refused' in answer)
      ok(answer.refused.startsWith('OFFSTAGE_') && answer.message.length > 0)
    },
  },
  {
    promise: 'the writes of a batch are done in order, each seeing those before it',
    keep: async (world) => {
      const instance = world.instance()
      const run = world.run({ input: '1' })
      const can = [registered()]
      const claim = { run: run.id, attempt: 1 }
      const batch: readonly Write[] = [
        { kind: 'claim', instance: instance.id, can, places: { all: 1, threads: 0, suspects: 1 } },
        { kind: 'presence', instance, change: 'joins', can },
        { kind: 'settle', claim, outcome: succeeded('1') },
        { kind: 'insert', run },
        { kind: 'claim', instance: instance.id, can, places: { all: 1, threads: 0, suspects: 1 } },
        { kind: 'note', claim, notes: [{ type: 'output', data: '1' }] },
        { kind: 'settle', claim, outcome: succeeded('1') },
        { kind: 'record', claim, step: { name: 'late', result: null } },
        { kind: 'presence', instance, change: 'leaves', can },
      ]
      const answers = await world.store.write(batch)
      const told = answers.map((answer) => (typeof answer === 'string' ? answer : Object.keys(answer).sort()[0]))
      deepEqual(told, ['dead', 'alive', 'fenced', 'claimed', 'claimed', 'done', 'at', 'fenced', 'gone'])
    },
  },
  {
    promise: 'an empty batch has no answers',
    keep: async (world) => deepEqual(await world.store.write([]), []),
  },
  {
    promise: 'batches that are written at once are all written',
    keep: async (world) => {
      const runs = Array.from({ length: 20 }, () => world.run())
      const flights = runs.map(async (run) => world.store.write([{ kind: 'insert', run }]))
      equal((await Promise.all(flights)).length, 20)
      for (const run of runs) equal((await world.find(run.id)).state, 'waiting')
    },
  },
  {
    promise: 'of batches that are written at once, what was sent first of a run takes effect first',
    keep: async (world) => {
      // A connection that is new is slower than one that is not: once is not enough.
      for (let round = 0; round < 10; round++) {
        const { claim } = await world.running()
        const crowd = Array.from({ length: 64 }, (): Write => ({ kind: 'insert', run: world.run() }))
        const child = world.run({ parent: claim.run })
        const [first, second] = await Promise.all([
          world.store.write([
            ...crowd,
            { kind: 'note', claim, notes: [{ type: 'output', data: '1' }] },
            { kind: 'record', claim, step: { name: 'a', result: '1' } },
            { kind: 'insert', run: child, by: claim },
          ]),
          world.store.write([{ kind: 'settle', claim, outcome: succeeded('1') }]),
        ])
        deepEqual(first.slice(-3, -1), ['done', 'done'])
        equal((await world.find(child.id)).parent, claim.run)
        deepEqual(second, [{ state: 'succeeded', at: world.now }])
      }
    },
  },
  {
    promise: 'whoever alters what he gave or got alters nothing in the store',
    keep: async (world) => {
      const tags = ['a']
      const run = await world.insert({ tags })
      const before = await world.find(run)
      tags.push('b')
      for (const record of [await world.find(run), await world.find(run)])
        Object.assign(record, { state: 'failed', tags: [] })
      deepEqual(await world.find(run), before)
    },
  },
]

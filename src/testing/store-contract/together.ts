import { deepEqual, equal } from 'node:assert/strict'
import { succeeded } from '../../core/outcome.ts'
import type { Inserted, Rescued, Store, Write } from '../../stores/store.ts'
import type { StorePromise } from './promise.ts'
import type { World } from './world.ts'

const OBJECTS = 4
const RUNS = 200
const can = [{ task: 'report', version: 1, thread: false, upcasts: false }]

/** Several stores over the same runs: what two processes are to each other. */
const several = async (world: World): Promise<readonly Store[]> =>
  Promise.all(Array.from({ length: OBJECTS }, () => world.another()))

async function claims(store: Store, instance: string, all: number): Promise<readonly string[]> {
  const claim: Write = { kind: 'claim', instance, can, places: { all, threads: 0, suspects: 1 } }
  const [answer] = await store.write([claim])
  return typeof answer === 'object' && 'claimed' in answer && Array.isArray(answer.claimed)
    ? answer.claimed.map(({ id }) => id)
    : []
}

/** What one object does another sees, and of what two do at once each is whole. */
export const together: readonly StorePromise[] = [
  {
    promise: 'of runs that several claim at once each is claimed by one',
    keep: async (world) => {
      const stores = await several(world)
      const runs = Array.from({ length: RUNS }, () => world.run())
      await world.store.write(runs.map((run): Write => ({ kind: 'insert', run })))
      const claimed: string[] = []
      for (let round = 0; claimed.length < RUNS && round < RUNS; round++) {
        const found = await Promise.all(stores.map(async (store) => claims(store, await world.join(), 7)))
        claimed.push(...found.flat())
      }
      deepEqual(claimed.toSorted(), runs.map(({ id }) => id).toSorted())
    },
  },
  {
    promise: 'a claim takes all that it has places for, however many those are',
    keep: async (world) => {
      await world.store.write(Array.from({ length: RUNS }, (): Write => ({ kind: 'insert', run: world.run() })))
      equal((await claims(world.store, await world.join(), RUNS + 100)).length, RUNS)
    },
  },
  {
    promise: 'starts of one key that several make at once are one run',
    keep: async (world) => {
      const stores = await several(world)
      const idempotency = { key: 'k', fingerprint: 'f' }
      const start = (store: Store): Promise<readonly unknown[]> =>
        store.write([{ kind: 'insert', run: world.run({ idempotency }) }])
      const answers = (await Promise.all(stores.map(start))).flat() as readonly Inserted[]
      equal(new Set(answers.map(({ id }) => id)).size, 1)
      equal(answers.filter(({ disposition }) => disposition === 'created').length, 1)
    },
  },
  {
    promise: 'an instance that is marked dead while it claims has nothing when both are done',
    keep: async (world) => {
      const [one = world.store, two = world.store] = await several(world)
      for (let round = 0; round < 20; round++) {
        const run = await world.insert()
        const instance = await world.join()
        await Promise.all([claims(one, instance, 9), two.write([{ kind: 'rescue', dead: [instance], limit: 9 }])])
        const [sweep] = (await two.write([{ kind: 'rescue', dead: [], limit: 9 }])) as readonly Rescued[]
        deepEqual([sweep?.dead, (await world.find(run)).state], [[], 'waiting'])
        await world.cancel(run)
      }
    },
  },
  {
    promise: 'what one writes another reads at once, and one that is opened later finds',
    keep: async (world) => {
      const other = await world.another()
      const { claim } = await world.running()
      const read = { kind: 'find', run: claim.run } as const
      equal((await other.read(read))?.state, 'running')
      await other.write([{ kind: 'record', claim, step: { name: 'a', result: '1' } }])
      deepEqual(await world.store.read({ kind: 'steps', run: claim.run }), [{ name: 'a', result: '1' }])
      await world.settle(claim, succeeded('1'))
      equal((await other.read(read))?.result, '1')
      await other.close()
      equal((await (await world.another()).read(read))?.result, '1')
    },
  },
]

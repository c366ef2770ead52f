import { deepEqual, equal, ok } from 'node:assert/strict'
import type { RunId } from '../../core/claim.ts'
import { succeeded } from '../../core/outcome.ts'
import type { Retention } from '../../stores/store.ts'
import { LEADS } from './leads.ts'
import type { StorePromise } from './promise.ts'
import type { World } from './world.ts'

const AGES: Retention = { succeeded: 10, failed: 20, canceled: 30, maxBytes: null }
const NEVER: Retention = { succeeded: Number.MAX_SAFE_INTEGER, failed: 1e15, canceled: 1e15, maxBytes: null }

async function prune(world: World, retention: Partial<Retention>, limit = 100): Promise<number> {
  const { removed } = await world.does({ kind: 'prune', retention: { ...NEVER, ...retention }, limit })
  return removed
}

async function left(world: World, runs: readonly RunId[]): Promise<readonly RunId[]> {
  const found = await Promise.all(runs.map(async (run) => world.store.read({ kind: 'find', run })))
  return runs.filter((_, index) => found[index] !== undefined)
}

/** They end one after another, a millisecond apart, in the opposite order of their birth. */
async function ended(world: World, count: number, input: string | null = null): Promise<readonly RunId[]> {
  const claims = []
  for (let index = 0; index < count; index++) claims.unshift((await world.running({ input })).claim)
  for (const claim of claims) {
    await world.pass(1)
    await world.settle(claim, succeeded(null))
  }
  return claims.map(({ run }) => run)
}

export const retention: readonly StorePromise[] = [
  {
    promise: 'an ended run is forgotten at its age, and each kind of end has its own',
    keep: async (world) => {
      const runs: RunId[] = []
      for (const state of ['succeeded', 'failed', 'canceled'] as const) runs.push((await LEADS[state](world)).run)
      for (const [ms, removed] of [
        [9, 0],
        [1, 1],
        [9, 0],
        [1, 1],
        [9, 0],
        [1, 1],
      ] as const) {
        await world.pass(ms)
        equal(await prune(world, AGES), removed)
        const gone = runs.length - (await left(world, runs)).length
        deepEqual(await left(world, runs), runs.slice(gone))
      }
      deepEqual(await left(world, runs), [])
    },
  },
  {
    promise: 'what waits or runs is never forgotten, however old, and however little room there is',
    keep: async (world) => {
      const runs = [(await LEADS.waiting(world)).run, (await LEADS.running(world)).run]
      await world.control((await LEADS.failed(world)).run, 'rerun')
      await world.pass(31_536_000_000)
      equal(await prune(world, { succeeded: 0, failed: 0, canceled: 0, maxBytes: 0 }), 0)
      deepEqual(await left(world, runs), runs)
    },
  },
  {
    promise: 'no more are forgotten at once than asked for, those that ended first before others',
    keep: async (world) => {
      const runs = await ended(world, 5)
      await world.pass(100)
      equal(await prune(world, AGES, 0), 0)
      equal(await prune(world, AGES, 2), 2)
      deepEqual(await left(world, runs), runs.slice(2))
      equal(await prune(world, { maxBytes: 0 }, 1), 1)
      deepEqual(await left(world, runs), runs.slice(3))
      equal(await prune(world, { ...AGES, maxBytes: 0 }, 100), 2)
    },
  },
  {
    promise: 'where there is not room enough, those that ended first go until there is',
    keep: async (world) => {
      const runs = await ended(world, 20, JSON.stringify('x'.repeat(100_000)))
      const waiting = await world.insert()
      equal(await prune(world, { maxBytes: 100_000_000 }), 0)
      const removed = await prune(world, { maxBytes: 1_000_000 })
      ok(removed > 5 && removed < 20, `${removed} were forgotten`)
      deepEqual(await left(world, runs), runs.slice(removed))
      equal(await prune(world, { maxBytes: 1_000_000 }), 0)
      equal((await world.find(waiting)).state, 'waiting')
    },
  },
  {
    promise: 'what is too old goes first, and room is made of the rest',
    keep: async (world) => {
      const failed = (await LEADS.failed(world)).run
      const [first, second] = await ended(world, 2)
      const canceled = (await LEADS.canceled(world)).run
      await world.pass(30)
      equal(await prune(world, { canceled: 30, maxBytes: 0 }, 2), 2)
      deepEqual(await left(world, [failed, first ?? '', second ?? '', canceled]), [first, second])
    },
  },
]

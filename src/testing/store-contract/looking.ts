import { deepEqual, equal } from 'node:assert/strict'
import type { RunId } from '../../core/claim.ts'
import type { RunFilter } from '../../core/runs.ts'
import { STATES } from '../../core/run-state.ts'
import type { NewRun } from '../../stores/store.ts'
import { LEADS } from './leads.ts'
import type { StorePromise } from './promise.ts'
import type { World } from './world.ts'

const NONE = { waiting: 0, running: 0, succeeded: 0, failed: 0, canceled: 0 }

async function listed(
  world: World,
  filter: RunFilter = {},
  { before = null, limit = 1_000 }: { readonly before?: RunId | null; readonly limit?: number } = {},
): Promise<readonly RunId[]> {
  return (await world.store.read({ kind: 'list', filter, before, limit })).map(({ id }) => id)
}

const PARENT = '01a20591-568e-7910-9286-00000000ffff'

/** Told apart by one field, and how the filter says it. */
const FIELDS: readonly (readonly [Partial<NewRun>, RunFilter])[] = [
  [{ task: 'other' }, { task: 'other' }],
  [{ queue: 'slow' }, { queue: 'slow' }],
  [{ owner: 'ann' }, { owner: 'ann' }],
  [{ owner: 'an%' }, { owner: 'an%' }],
  [{ owner: '' }, { owner: '' }],
  [{ parent: PARENT }, { parent: PARENT }],
  [{ tags: ['red', 'a"b'] }, { tag: 'red' }],
  [{ tags: ['red wine', '['] }, { tag: 'red wine' }],
  [{ tags: ['r_d', ''] }, { tag: '' }],
]

export const looking: readonly StorePromise[] = [
  {
    promise: 'the details of a run are all that is kept of it, and those of an unknown one nothing',
    keep: async (world) => {
      equal(await world.store.read({ kind: 'details', run: world.id() }), undefined)
      const { claim } = await world.running({ input: '{"a":1}' })
      await world.does({ kind: 'record', claim, step: { name: 'b', result: null } })
      await world.signal(claim.run, 'paid', '1')
      const { record, input, steps, attempts, logs } = await world.details(claim.run)
      deepEqual(record, await world.find(claim.run))
      deepEqual([input, attempts, logs], ['{"a":1}', [], []])
      deepEqual(steps, await world.store.read({ kind: 'steps', run: claim.run }))
      equal((await world.details(await world.insert())).input, null)
    },
  },
  {
    promise: 'runs are listed newest first, by their ids, as they are',
    keep: async (world) => {
      deepEqual(await listed(world), [])
      const ids = [world.id(), world.id(), world.id(), world.id()]
      for (const index of [2, 0, 3, 1]) await world.insert({ id: ids[index] ?? '' })
      await world.claim(await world.join(), { places: { all: 2, threads: 0, suspects: 1 } })
      const newest = ids.toReversed()
      deepEqual(await listed(world), newest)
      const records = await Promise.all(newest.map(async (id) => world.find(id)))
      deepEqual(await world.store.read({ kind: 'list', filter: {}, before: null, limit: 9 }), records)
    },
  },
  {
    promise: 'pages show each run once, whatever is added or goes meanwhile',
    keep: async (world) => {
      const runs: RunId[] = []
      for (let count = 0; count < 5; count++) runs.unshift(await world.insert())
      const seen: RunId[] = []
      for (let pages = 0; pages < 3; pages++) {
        const page: readonly RunId[] = await listed(world, {}, { before: seen.at(-1) ?? null, limit: 2 })
        seen.push(...page)
        await world.insert()
        await world.cancel(page[1] ?? '')
        await world.control(page[1] ?? '', 'remove')
      }
      deepEqual(seen, runs)
      deepEqual(await listed(world, {}, { before: seen.at(-1) ?? null }), [])
    },
  },
  ...FIELDS.map(([fields, filter]): StorePromise => ({
    promise: `a list and a count may be of some runs alone: ${JSON.stringify(filter)}`,
    keep: async (world) => {
      for (const [others] of FIELDS) if (others !== fields) await world.insert(others)
      await world.insert()
      deepEqual([await listed(world, filter), await world.store.read({ kind: 'tally', filter })], [[], NONE])
      const [one, two] = [await world.insert(fields), await world.insert(fields)]
      deepEqual(await listed(world, filter), [two, one])
      deepEqual(await listed(world, filter, { limit: 1 }), [two])
      deepEqual(await listed(world, filter, { before: two }), [one])
      deepEqual(await world.store.read({ kind: 'tally', filter }), { ...NONE, waiting: 2 })
    },
  })),
  {
    promise: 'a list and a count may be of one state alone',
    keep: async (world) => {
      deepEqual(await world.store.read({ kind: 'tally', filter: {} }), NONE)
      for (const [index, state] of STATES.entries()) {
        const runs: RunId[] = []
        for (let count = 0; count <= index; count++) runs.unshift((await LEADS[state](world)).run)
        deepEqual(await listed(world, { state }), runs)
        if (state === 'waiting') for (const run of runs) await world.cancel(run) // else the next ones would claim it
        if (state === 'waiting') for (const run of runs) await world.control(run, 'remove')
      }
      const counts = { waiting: 0, running: 2, succeeded: 3, failed: 4, canceled: 5 }
      deepEqual(await world.store.read({ kind: 'tally', filter: {} }), counts)
      deepEqual(await world.store.read({ kind: 'tally', filter: { state: 'failed' } }), { ...NONE, failed: 4 })
    },
  },
  {
    promise: 'of several things that a filter says, all must hold',
    keep: async (world) => {
      await world.insert({ task: 'other', owner: 'ann', tags: ['a'] })
      await world.insert({ owner: 'ann', tags: ['b'] })
      await world.insert({ owner: 'bob', tags: ['a'] })
      const run = await world.insert({ owner: 'ann', tags: ['a', 'b'] })
      const filter = { task: 'report', owner: 'ann', tag: 'a', queue: 'default', state: 'waiting' } as const
      deepEqual(await listed(world, filter), [run])
      deepEqual(await world.store.read({ kind: 'tally', filter }), { ...NONE, waiting: 1 })
      deepEqual(await listed(world, { ...filter, state: 'running' }), [])
    },
  },
]

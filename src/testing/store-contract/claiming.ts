import { deepEqual, equal } from 'node:assert/strict'
import { retryIn } from '../../core/outcome.ts'
import type { Claimed, NewRun, Version } from '../../stores/store.ts'
import type { StorePromise } from './promise.ts'
import { boom, registered, type World } from './world.ts'

const names = ({ claimed }: Claimed): readonly (string | null)[] => claimed.map(({ input }) => input)

/** Told apart by their input. */
async function insertAll(world: World, runs: Readonly<Record<string, Partial<NewRun>>>): Promise<void> {
  for (const [input, fields] of Object.entries(runs)) await world.insert({ ...fields, input })
}

export const claiming: readonly StorePromise[] = [
  {
    promise: 'runs are claimed by priority, then due time, then age',
    keep: async (world) => {
      const { now } = world
      await insertAll(world, {
        old: {},
        later: { at: now + 20 },
        sooner: { at: now + 10 },
        low: { priority: -32_768 },
        high: { priority: 32_767, at: now + 30 },
        past: { at: now - 50 },
        young: {},
      })
      await world.pass(30)
      deepEqual(names(await world.claim(await world.join())), [
        'high',
        'past',
        'old',
        'young',
        'sooner',
        'later',
        'low',
      ])
    },
  },
  {
    promise: 'a claimed run is in the hands of its claimer, with its input',
    keep: async (world) => {
      const instance = await world.join()
      const run = await world.insert({ input: '{"a":1}' })
      await world.pass(7)
      const { claimed } = await world.claim(instance)
      deepEqual(claimed, [{ ...(await world.find(run)), input: '{"a":1}' }])
      const { state, attempt, tries, startedAt, instance: holder, number, dueAt } = await world.find(run)
      deepEqual([state, attempt, tries, holder, number], ['running', 1, 1, instance, 2])
      deepEqual([startedAt, dueAt], [world.now, world.now - 7])
    },
  },
  {
    promise: 'no run is claimed twice',
    keep: async (world) => {
      const [one, two] = [await world.join(), await world.join()]
      await insertAll(world, { a: {}, b: {}, c: {} })
      const places = { all: 2, threads: 0, suspects: 1 }
      deepEqual(names(await world.claim(one, { places })), ['a', 'b'])
      deepEqual(names(await world.claim(two, { places })), ['c'])
      deepEqual(names(await world.claim(one, { places })), [])
    },
  },
  {
    promise: 'there are never more claimed than there are places, in all and on threads',
    keep: async (world) => {
      const instance = await world.join()
      const thread = { task: 'render', thread: true }
      await insertAll(world, { t1: thread, t2: thread, t3: thread, l1: {}, l2: {}, l3: {} })
      deepEqual(names(await world.claim(instance, { places: { all: 0, threads: 5, suspects: 1 } })), [])
      deepEqual(names(await world.claim(instance, { places: { all: 3, threads: 1, suspects: 1 } })), ['t1', 'l1', 'l2'])
      deepEqual(names(await world.claim(instance, { places: { all: 5, threads: 0, suspects: 1 } })), ['l3'])
      deepEqual(names(await world.claim(instance, { places: { all: 1, threads: 5, suspects: 1 } })), ['t2'])
    },
  },
  {
    promise: 'places without a bound take all there is',
    keep: async (world) => {
      await insertAll(world, { a: {}, b: { task: 'render', thread: true }, c: {} })
      const places = { all: Number.POSITIVE_INFINITY, threads: Number.POSITIVE_INFINITY, suspects: 1 }
      deepEqual(names(await world.claim(await world.join(), { places })), ['a', 'b', 'c'])
    },
  },
  {
    promise: 'a claim tells the highest priority that it left for want of a place',
    keep: async (world) => {
      const instance = await world.join()
      await insertAll(world, {
        a: { priority: 5 },
        b: { priority: 3, task: 'render', thread: true },
        c: { priority: 0 },
        d: { priority: 9, delay: 10 },
      })
      await insertAll(world, { foreign: { priority: 7, task: 'other' } })
      equal((await world.claim(instance, { places: { all: 0, threads: 0, suspects: 1 } })).left, 5)
      const first = await world.claim(instance, { places: { all: 2, threads: 0, suspects: 1 } })
      deepEqual([names(first), first.left], [['a', 'c'], 3])
      const second = await world.claim(instance, { places: { all: 2, threads: 2, suspects: 1 } })
      deepEqual([names(second), second.left], [['b'], null])
    },
  },
  {
    promise: 'a run is claimed by those who registered its task and version, whatever its row says of threads',
    keep: async (world) => {
      const instance = await world.join()
      await insertAll(world, { plain: {}, newer: { version: 2 }, other: { task: 'other' }, threaded: { thread: true } })
      const claim = async (task: string, version: number, thread: boolean): Promise<readonly unknown[]> =>
        names(await world.claim(instance, { can: [registered({ task, version, thread })] }))
      deepEqual(await claim('other', 2, false), [])
      const noThread = {
        can: [registered({ task: 'other', thread: true })],
        places: { all: 5, threads: 0, suspects: 1 },
      }
      deepEqual(names(await world.claim(instance, noThread)), [])
      deepEqual(names(await world.claim(instance, { can: [] })), [])
      deepEqual(await claim('report', 2, false), ['newer'])
      deepEqual(await claim('other', 1, true), ['other'])
      deepEqual(new Set(await claim('report', 1, false)), new Set(['plain', 'threaded']))
    },
  },
  {
    promise: 'a run of an older version is claimed by those whose version takes it over, and stays of that version',
    keep: async (world) => {
      const instance = await world.join()
      await insertAll(world, { first: {}, third: { version: 3 }, other: { task: 'other' } })
      const claim = async (...can: readonly Version[]): Promise<Claimed> => world.claim(instance, { can })
      deepEqual(names(await claim(registered({ version: 2 }))), [])
      const { claimed } = await claim(registered({ version: 2, upcasts: true }))
      deepEqual(
        claimed.map(({ input, version }) => [input, version]),
        [['first', 1]],
      )
      deepEqual(names(await claim(registered({ version: 3, upcasts: true }))), ['third'])
      const two = [registered({ task: 'other', version: 2 }), registered({ task: 'other', version: 4, upcasts: true })]
      deepEqual(names(await claim(...two)), ['other'])
    },
  },
  {
    promise: 'a version registered as it is goes before one that takes it over, and either says where it is performed',
    keep: async (world) => {
      const instance = await world.join()
      const noThread = { places: { all: 9, threads: 0, suspects: 1 } }
      const newer = registered({ version: 2, thread: true, upcasts: true })
      await insertAll(world, { a: {} })
      deepEqual(names(await world.claim(instance, { can: [newer], ...noThread })), [])
      deepEqual(names(await world.claim(instance, { can: [newer, registered()], ...noThread })), ['a'])
      await insertAll(world, { b: { thread: true } })
      deepEqual(
        names(
          await world.claim(instance, {
            can: [registered({ thread: true }), { ...newer, thread: false }],
            ...noThread,
          }),
        ),
        [],
      )
      deepEqual(names(await world.claim(instance, { can: [{ ...newer, thread: false }], ...noThread })), ['b'])
    },
  },
  {
    promise: 'a run is not claimed before it is due, and a claim tells when the next one is',
    keep: async (world) => {
      const instance = await world.join()
      equal((await world.claim(instance)).next, null)
      await insertAll(world, { b: { delay: 100 }, a: { at: world.now + 40 } })
      const none = await world.claim(instance)
      deepEqual([names(none), none.left, none.next], [[], null, 40])
      await world.pass(39)
      equal((await world.claim(instance)).next, 1)
      await world.pass(1)
      const one = await world.claim(instance)
      deepEqual([names(one), one.next], [['a'], 60])
      await world.pass(60)
      const two = await world.claim(instance)
      deepEqual([names(two), two.next], [['b'], null])
    },
  },
  {
    promise: 'a run that is tried again is claimed when it is due, and its attempt is the next number',
    keep: async (world) => {
      const { instance, claim } = await world.running()
      deepEqual(await world.settle(claim, retryIn(25, 'error', boom)), {
        state: 'waiting',
        at: world.now + 25,
      })
      deepEqual(names(await world.claim(instance)), [])
      await world.pass(25)
      const { claimed } = await world.claim(instance)
      deepEqual([claimed[0]?.attempt, claimed[0]?.tries, claimed[0]?.error], [2, 2, boom])
    },
  },
  {
    promise: 'what became due while nobody claimed is claimed by priority all the same',
    keep: async (world) => {
      const instance = await world.join()
      await insertAll(world, { first: { delay: 10 }, urgent: { delay: 20, priority: 1 }, now: {} })
      await world.pass(20)
      deepEqual(names(await world.claim(instance, { places: { all: 1, threads: 0, suspects: 1 } })), ['urgent'])
      deepEqual(names(await world.claim(instance)), ['now', 'first'])
    },
  },
]

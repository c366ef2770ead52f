import { deepEqual } from 'node:assert/strict'
import type { Unperformed } from '../../stores/store.ts'
import type { StorePromise } from './promise.ts'
import { registered, waitingFor, type World } from './world.ts'

/** In the order of their texts: the answer has none. */
async function told(world: World, patience = 100): Promise<readonly Unperformed[]> {
  const answer = await world.store.read({ kind: 'unperformed', for: patience })
  return answer.toSorted((a, b) => a.task.localeCompare(b.task) || a.version - b.version)
}

export const unperformed: readonly StorePromise[] = [
  {
    promise: 'what nobody performs is told: task, version, and since when the oldest is due',
    keep: async (world) => {
      const since = world.now
      await world.insert({ delay: 5 })
      await world.insert()
      await world.insert({ version: 2 })
      await world.insert({ task: 'other', delay: 40 })
      await world.pass(100)
      deepEqual(await told(world), [])
      await world.pass(1)
      const both = [
        { task: 'report', version: 1, since },
        { task: 'report', version: 2, since },
      ]
      deepEqual(await told(world), both)
      await world.pass(40)
      deepEqual(await told(world), [{ task: 'other', version: 1, since: since + 40 }, ...both])
      deepEqual(await told(world, 1_000), [])
    },
  },
  {
    promise: 'what a living instance registered is performed, be it on a thread or not',
    keep: async (world) => {
      const since = world.now
      await world.insert({ task: 'loop', thread: true })
      await world.insert({ task: 'thread' })
      await world.insert({ task: 'newer', version: 2 })
      await world.pass(101)
      const can = [
        registered({ task: 'loop' }),
        registered({ task: 'thread', thread: true }),
        registered({ task: 'newer' }),
      ]
      await world.join(can)
      await world.join([])
      deepEqual(await told(world), [{ task: 'newer', version: 2, since }])
      await world.join([registered({ task: 'newer', version: 2 })])
      deepEqual(await told(world), [])
    },
  },
  {
    promise: 'what only the dead and those who left registered is performed by nobody',
    keep: async (world) => {
      const [gone, dead] = [await world.join(), await world.join()]
      const told1 = { task: 'report', version: 1, since: world.now }
      await world.insert({}, { claimFor: dead })
      await world.insert()
      await world.pass(101)
      deepEqual(await told(world), [])
      await world.presence(gone, 'leaves')
      deepEqual(await told(world), [])
      await world.rescue([dead], 0)
      deepEqual(await told(world), [told1])
    },
  },
  {
    promise: 'an older version is performed where a registered one takes it over, a newer one is not',
    keep: async (world) => {
      const since = world.now
      for (const version of [1, 2, 3]) await world.insert({ version })
      await world.pass(101)
      const joined = await world.join([registered({ version: 2 })])
      const [first, third] = [
        { task: 'report', version: 1, since },
        { task: 'report', version: 3, since },
      ]
      deepEqual(await told(world), [first, third])
      await world.presence(joined, 'leaves')
      await world.join([registered({ version: 2, upcasts: true })])
      deepEqual(await told(world), [third])
    },
  },
  {
    promise: 'what is not due, runs, sleeps or has ended is not waiting to be performed',
    keep: async (world) => {
      const parked = await world.running()
      await world.settle(parked.claim, waitingFor('paid'))
      await world.insert({ delay: 1_000 })
      await world.cancel(await world.insert())
      const { instance } = await world.running()
      await world.presence(parked.instance, 'leaves')
      await world.pass(500)
      await world.rescue([instance], 0)
      deepEqual(await told(world), [])
    },
  },
]

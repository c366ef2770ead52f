import { deepEqual, equal, ok } from 'node:assert/strict'
import type { Claim } from '../../core/claim.ts'
import { released } from '../../core/outcome.ts'
import { EVENTS_PAGE, KEPT_EVENTS } from '../../core/run-events.ts'
import type { Note } from '../../stores/store.ts'
import type { StorePromise } from './promise.ts'
import type { World } from './world.ts'

const progress = (done: number): Note => ({
  type: 'progress',
  data: { done, total: 9, message: 'rows', fraction: done / 9 },
})
const output = (data: string): Note => ({ type: 'output', data })

/** Whatever changes between, a run's numbers rise by one with each visible change. */
async function risesByOne(world: World, claim: Claim, change: () => Promise<unknown>): Promise<void> {
  const before = (await world.find(claim.run)).number
  await change()
  equal((await world.find(claim.run)).number, before + 1)
}

export const events: readonly StorePromise[] = [
  {
    promise: 'notes are numbered in order and without a gap, and read back as they were',
    keep: async (world) => {
      const { claim } = await world.running()
      equal(await world.note(claim, progress(1), output('{"a":[1]}')), 'done')
      await world.note(claim, output('"b"'), progress(2))
      const { record, events: all, firstOutput } = await world.events(claim.run)
      deepEqual([record.number, record.trimmed, firstOutput], [6, 0, 4])
      deepEqual(all, [
        { number: 3, ...progress(1) },
        { number: 4, type: 'output', data: { a: [1] } },
        { number: 5, type: 'output', data: 'b' },
        { number: 6, ...progress(2) },
      ])
      deepEqual((await world.events(claim.run, 4)).events, all.slice(2))
      deepEqual((await world.events(claim.run, 6)).events, [])
      equal((await world.events(claim.run, 6)).firstOutput, 4)
    },
  },
  {
    promise: 'the run shows its latest progress, into the next attempt and after its end',
    keep: async (world) => {
      const { claim, instance } = await world.running()
      await world.note(claim, progress(1), output('1'), progress(2), output('2'))
      deepEqual((await world.find(claim.run)).progress, progress(2).data)
      await world.note(claim, output('3'))
      await world.settle(claim, released)
      await world.claim(instance)
      deepEqual((await world.find(claim.run)).progress, progress(2).data)
      await world.note({ ...claim, attempt: 2 }, { type: 'progress', data: {} })
      await world.cancel(claim.run)
      deepEqual((await world.find(claim.run)).progress, {})
    },
  },
  {
    promise: 'every visible change of a run takes one number, and what changes nothing takes none',
    keep: async (world) => {
      const { claim, instance } = await world.running()
      equal((await world.find(claim.run)).number, 2)
      await risesByOne(world, claim, async () => world.note(claim, output('1')))
      await risesByOne(world, claim, async () => world.settle(claim, released))
      await risesByOne(world, claim, async () => world.claim(instance))
      await risesByOne(world, claim, async () => world.rescue([instance]))
      const { instance: other } = await world.running()
      await risesByOne(world, claim, async () => world.claim(other))
      await risesByOne(world, claim, async () => world.cancel(claim.run))
      const before = (await world.find(claim.run)).number
      await world.cancel(claim.run)
      await world.settle(claim, released)
      await world.does({ kind: 'record', claim: { ...claim, attempt: 3 }, step: { name: 'a', result: null } })
      equal((await world.find(claim.run)).number, before)
    },
  },
  {
    promise: 'the oldest events are let go, and how far is told',
    keep: async (world) => {
      const { claim } = await world.running()
      const notes = Array.from({ length: KEPT_EVENTS + 10 }, (_, index) => output(String(index)))
      await world.note(claim, ...notes.slice(0, KEPT_EVENTS - 2))
      equal((await world.events(claim.run)).record.trimmed, 0)
      await world.note(claim, ...notes.slice(KEPT_EVENTS - 2))
      const { record, events: kept, firstOutput } = await world.events(claim.run)
      deepEqual([record.number, record.trimmed], [KEPT_EVENTS + 12, 12])
      deepEqual([kept.length, kept[0]?.number, kept.at(-1)?.number], [KEPT_EVENTS, 13, KEPT_EVENTS + 12])
      equal(firstOutput, 13)
      deepEqual(kept[0]?.data, 10)
    },
  },
  {
    promise: 'an answer holds a page of events at most, and the next page begins after it',
    keep: async (world) => {
      const { claim } = await world.running()
      await world.note(claim, ...Array.from({ length: EVENTS_PAGE + 1 }, (_, index) => output(String(index))))
      const page = await world.store.read({ kind: 'events', run: claim.run, after: 2 })
      deepEqual([page?.events.length, page?.events.at(-1)?.number], [EVENTS_PAGE, EVENTS_PAGE + 2])
      equal((await world.events(claim.run, EVENTS_PAGE + 2)).events.length, 1)
    },
  },
  {
    promise: 'an unknown run has no events, and one without output no first one',
    keep: async (world) => {
      equal(await world.store.read({ kind: 'events', run: world.id(), after: 0 }), undefined)
      const { claim } = await world.running()
      await world.note(claim, progress(1))
      equal((await world.events(claim.run)).firstOutput, null)
    },
  },
  {
    promise: 'each run has its own events',
    keep: async (world) => {
      const [one, two] = [await world.running(), await world.running()]
      await world.note(one.claim, output('1'))
      await world.note(two.claim, output('2'))
      const { events: kept } = await world.events(two.claim.run)
      ok(kept.length === 1)
      deepEqual(kept[0], { number: 3, type: 'output', data: 2 })
    },
  },
]

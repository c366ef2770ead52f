import { deepEqual, equal } from 'node:assert/strict'
import { succeeded } from '../../core/outcome.ts'
import { canceledFailure } from '../../core/rescue.ts'
import type { StorePromise } from './promise.ts'
import { registered } from './world.ts'

export const instances: readonly StorePromise[] = [
  {
    promise: 'who joined is listed as it is, until it leaves',
    keep: async (world) => {
      const [one, two] = [world.instance(), { ...world.instance(), pid: 1, boot: '', began: '', pidNamespace: '' }]
      for (const instance of [one, two, one]) {
        equal(await world.does({ kind: 'presence', instance, change: 'joins', can: [] }), 'alive')
      }
      const listed = await world.store.read({ kind: 'instances' })
      deepEqual(
        [...listed].sort((a, b) => a.id.localeCompare(b.id)),
        [one, two],
      )
      for (let times = 0; times < 2; times++) {
        equal(await world.presence(one.id, 'leaves'), 'gone')
      }
      deepEqual(await world.store.read({ kind: 'instances' }), [two])
    },
  },
  {
    promise: 'an instance that leaves gives back what it still has, and that is no crash',
    keep: async (world) => {
      const { instance, claim } = await world.running({ timeout: 100 })
      const asked = await world.insert({}, { claimFor: instance })
      await world.cancel(asked, 'enough')
      const other = await world.running()
      const [before, others] = [await world.find(claim.run), await world.all(other.claim.run)]
      await world.pass(7)
      await world.presence(instance, 'leaves')
      const { record, attempts } = await world.details(claim.run)
      const after = { state: 'waiting', tries: 0, dueAt: world.now, instance: null, number: before.number + 1 }
      deepEqual(record, { ...before, ...after })
      const moments = { startedAt: world.now - 7, endedAt: world.now }
      deepEqual(attempts, [{ attempt: 1, came: 'released', instance, ...moments, error: null }])
      deepEqual(
        [(await world.find(asked)).state, (await world.find(asked)).error],
        ['canceled', canceledFailure('enough')],
      )
      deepEqual(await world.all(other.claim.run), others)
      equal(await world.settle(claim, succeeded('1')), 'fenced')
      deepEqual(await world.rescue([]), { waiting: [], ended: [] })
    },
  },
  {
    promise: 'who was marked dead is not listed, and learns it when it joins again or claims',
    keep: async (world) => {
      const { instance: id } = await world.running()
      await world.insert()
      await world.rescue([id], 0)
      deepEqual(await world.store.read({ kind: 'instances' }), [])
      equal(await world.presence(id, 'joins'), 'dead')
      equal(
        await world.does({ kind: 'claim', instance: id, can: [], places: { all: 1, threads: 1, suspects: 1 } }),
        'dead',
      )
    },
  },
  {
    promise: 'who is unknown, has left or is dead claims nothing',
    keep: async (world) => {
      const [gone, dead] = [await world.join(), await world.join()]
      await world.presence(gone, 'leaves')
      await world.rescue([dead])
      const run = await world.insert()
      const can = [registered()]
      for (const instance of ['nobody', gone, dead]) {
        equal(await world.does({ kind: 'claim', instance, can, places: { all: 1, threads: 1, suspects: 1 } }), 'dead')
      }
      equal((await world.find(run)).state, 'waiting')
    },
  },
  {
    promise: 'who is dead is forgotten once it holds no run',
    keep: async (world) => {
      const { instance } = await world.running()
      await world.rescue([instance], 0)
      await world.rescue([], 1)
      equal(await world.presence(instance, 'joins'), 'alive')
    },
  },
]

import { deepEqual, equal } from 'node:assert/strict'
import type { StorePromise } from './promise.ts'

export const instances: readonly StorePromise[] = [
  {
    promise: 'who joined is listed as it is, until it leaves',
    keep: async (world) => {
      const [one, two] = [world.instance(), { ...world.instance(), pid: 1, boot: '', began: '', pidNamespace: '' }]
      for (const instance of [one, two, one]) {
        equal(await world.does({ kind: 'presence', instance, change: 'joins' }), 'alive')
      }
      const listed = await world.store.read({ kind: 'instances' })
      deepEqual(
        [...listed].sort((a, b) => a.id.localeCompare(b.id)),
        [one, two],
      )
      for (let times = 0; times < 2; times++) {
        equal(await world.does({ kind: 'presence', instance: one, change: 'leaves' }), 'gone')
      }
      deepEqual(await world.store.read({ kind: 'instances' }), [two])
    },
  },
  {
    promise: 'who was marked dead is not listed, and learns it when it joins again or claims',
    keep: async (world) => {
      const { instance: id } = await world.running()
      await world.insert()
      await world.rescue([id], 0)
      deepEqual(await world.store.read({ kind: 'instances' }), [])
      equal(await world.does({ kind: 'presence', instance: world.instance(id), change: 'joins' }), 'dead')
      equal(await world.does({ kind: 'claim', instance: id, can: [], places: { all: 1, threads: 1 } }), 'dead')
    },
  },
  {
    promise: 'who is unknown, has left or is dead claims nothing',
    keep: async (world) => {
      const [gone, dead] = [await world.join(), await world.join()]
      await world.does({ kind: 'presence', instance: world.instance(gone), change: 'leaves' })
      await world.rescue([dead])
      const run = await world.insert()
      const can = [{ task: 'report', version: 1, thread: false }]
      for (const instance of ['nobody', gone, dead]) {
        equal(await world.does({ kind: 'claim', instance, can, places: { all: 1, threads: 1 } }), 'dead')
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
      equal(await world.does({ kind: 'presence', instance: world.instance(instance), change: 'joins' }), 'alive')
    },
  },
]

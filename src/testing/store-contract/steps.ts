import { deepEqual, equal } from 'node:assert/strict'
import { released } from '../../core/outcome.ts'
import type { StorePromise } from './promise.ts'

export const steps: readonly StorePromise[] = [
  {
    promise: 'steps are kept in the order in which they were recorded, over attempts',
    keep: async (world) => {
      const { claim, instance } = await world.running()
      const other = await world.running()
      await world.does({ kind: 'record', claim, step: { name: 'z', result: '{"a":1}' } })
      await world.does({ kind: 'record', claim: other.claim, step: { name: 'other', result: '0' } })
      await world.settle(claim, released)
      await world.claim(instance)
      await world.does({ kind: 'record', claim: { ...claim, attempt: 2 }, step: { name: 'a', result: null } })
      deepEqual(await world.store.read({ kind: 'steps', run: claim.run }), [
        { name: 'z', result: '{"a":1}' },
        { name: 'a', result: null },
      ])
    },
  },
  {
    promise: 'a step recorded twice keeps its first result',
    keep: async (world) => {
      const { claim } = await world.running()
      for (const result of ['1', '2', null]) {
        equal(await world.does({ kind: 'record', claim, step: { name: 'charge', result } }), 'done')
      }
      deepEqual(await world.store.read({ kind: 'steps', run: claim.run }), [{ name: 'charge', result: '1' }])
    },
  },
  {
    promise: 'a run without steps, or none at all, has none',
    keep: async (world) => {
      deepEqual(await world.store.read({ kind: 'steps', run: await world.insert() }), [])
      deepEqual(await world.store.read({ kind: 'steps', run: world.id() }), [])
    },
  },
]

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
    promise: 'a step recorded twice keeps its first result, and tells it',
    keep: async (world) => {
      const { claim } = await world.running()
      const record = async (name: string, result: string | null): Promise<unknown> =>
        world.does({ kind: 'record', claim, step: { name, result } })
      equal(await record('charge', '1'), 'done')
      for (const result of ['1', '2', null]) deepEqual(await record('charge', result), { kept: '1' })
      equal(await record('nothing', null), 'done')
      deepEqual(await record('nothing', '2'), { kept: null })
      deepEqual(await world.store.read({ kind: 'steps', run: claim.run }), [
        { name: 'charge', result: '1' },
        { name: 'nothing', result: null },
      ])
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

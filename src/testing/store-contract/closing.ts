import { equal } from 'node:assert/strict'
import type { StorePromise } from './promise.ts'

export const closing: readonly StorePromise[] = [
  {
    promise: 'closing twice is closing once',
    keep: async (world) => {
      await world.insert()
      await Promise.all([world.store.close(), world.store.close()])
      await world.store.close()
    },
  },
  {
    promise: 'what was written before the close is answered',
    keep: async (world) => {
      const writing = world.store.write([{ kind: 'insert', run: world.run() }])
      await world.store.close()
      equal((await writing).length, 1)
    },
  },
  {
    promise: 'an unknown run is not found',
    keep: async (world) => equal(await world.store.read({ kind: 'find', run: world.id() }), undefined),
  },
]

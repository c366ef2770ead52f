import { equal } from 'node:assert/strict'
import { realClock } from '../../runtime/world.ts'
import type { StorePromise } from './promise.ts'
import type { World } from './world.ts'

/** Settles when the store tells of a change. */
function listening(world: World): Disposable & { readonly told: Promise<void>; readonly times: () => number } {
  const { promise: told, resolve } = Promise.withResolvers<void>()
  let times = 0
  const heard = world.store.wakes(() => {
    times++
    resolve()
  })
  return { told, times: () => times, [Symbol.dispose]: () => heard[Symbol.dispose]() }
}

/** Somebody else's. */
async function change(world: World): Promise<void> {
  const other = await world.another()
  await other.write([{ kind: 'insert', run: world.run() }])
}

/** In real time: whoever tells does not go by the store's. */
async function soon(told: Promise<void>): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  using _ = realClock.timer(5_000, () => reject(new Error('no change was told within 5 s')))
  await Promise.race([told, late])
}

export const wakes: readonly StorePromise[] = [
  {
    promise: 'what somebody else changed is told to everybody who listens',
    keep: async (world) => {
      using one = listening(world)
      using two = listening(world)
      await change(world)
      await soon(one.told)
      await soon(two.told)
    },
  },
  {
    promise: 'each later change is told too',
    keep: async (world) => {
      for (let times = 0; times < 3; times++) {
        using heard = listening(world)
        await change(world)
        await soon(heard.told)
      }
    },
  },
  {
    promise: 'who listens no more is told nothing, and may say so twice',
    keep: async (world) => {
      const gone = listening(world)
      gone[Symbol.dispose]()
      gone[Symbol.dispose]()
      using there = listening(world)
      await change(world)
      await soon(there.told)
      equal(gone.times(), 0)
    },
  },
  {
    promise: 'who listens twice listens on when he has stopped once',
    keep: async (world) => {
      const { promise: told, resolve } = Promise.withResolvers<void>()
      const changed = (): void => resolve()
      const first = world.store.wakes(changed)
      using _ = world.store.wakes(changed)
      first[Symbol.dispose]()
      await change(world)
      await soon(told)
    },
  },
]

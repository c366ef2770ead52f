import { deepEqual, equal } from 'node:assert/strict'
import type { StorePromise } from './promise.ts'

export const birth: readonly StorePromise[] = [
  {
    promise: 'a run may be born running, in the hands of its starter',
    keep: async (world) => {
      const instance = await world.join()
      const run = world.run()
      const answer = await world.does({ kind: 'insert', run, claimFor: instance })
      deepEqual(answer, { id: run.id, disposition: 'created', createdAt: world.now, dueAt: world.now, claimed: true })
      const { state, attempt, tries, startedAt, instance: holder, number } = await world.find(run.id)
      deepEqual([state, attempt, tries, startedAt, holder, number], ['running', 1, 1, world.now, instance, 2])
      deepEqual((await world.claim(instance)).claimed, [])
    },
  },
  {
    promise: 'a run that is not due is not born running',
    keep: async (world) => {
      const instance = await world.join()
      const later = await world.insert({ delay: 1 }, { claimFor: instance })
      const then = await world.insert({ at: world.now + 1 }, { claimFor: instance })
      for (const run of [later, then]) equal((await world.find(run)).state, 'waiting')
    },
  },
  {
    promise: 'a run is not born in the hands of the dead, the unknown or those who left',
    keep: async (world) => {
      const { instance: dead } = await world.running()
      await world.rescue([dead], 0)
      const gone = await world.join()
      await world.presence(gone, 'leaves')
      for (const claimFor of [dead, gone, 'nobody']) {
        equal((await world.find(await world.insert({}, { claimFor }))).state, 'waiting', claimFor)
      }
    },
  },
  {
    promise: 'an insert whose answer was lost tells again that its run was born running',
    keep: async (world) => {
      const [mine, theirs] = [await world.join(), await world.join()]
      const run = world.run()
      const first = await world.does({ kind: 'insert', run, claimFor: mine })
      const again = await world.does({ kind: 'insert', run, claimFor: mine })
      deepEqual(again, first === 'fenced' ? first : { ...first, disposition: 'existing' })
      for (const claimFor of [{ claimFor: theirs }, {}]) {
        const other = await world.does({ kind: 'insert', run, ...claimFor })
        equal(other !== 'fenced' && other.claimed, false)
      }
    },
  },
  {
    promise: 'a later attempt was not born running',
    keep: async (world) => {
      const instance = await world.join()
      const run = world.run()
      await world.does({ kind: 'insert', run, claimFor: instance })
      await world.settle({ run: run.id, attempt: 1 }, { kind: 'released' })
      await world.claim(instance)
      const again = await world.does({ kind: 'insert', run, claimFor: instance })
      equal(again !== 'fenced' && again.claimed, false)
    },
  },
]

import { deepEqual, equal } from 'node:assert/strict'
import { retryIn, succeeded } from '../../core/outcome.ts'
import type { StorePromise } from './promise.ts'
import { boom } from './world.ts'

export const ownTransactions: readonly StorePromise[] = [
  {
    promise: 'what is no transaction is not joined',
    keep: async (world) => {
      for (const tx of [undefined, null, {}, 'begin', () => {}]) equal(world.store.within(tx), undefined)
    },
  },
  {
    promise: 'a store without transactions refuses an end that needs one, and the run goes on',
    keep: async (world) => {
      const { claim } = await world.running()
      if (world.store.begin(claim) !== undefined) return
      const tx = [{ text: 'a statement', values: [1] }]
      const before = await world.all(claim.run)
      equal(await world.refused({ kind: 'settle', claim, outcome: succeeded('1'), tx }), 'OFFSTAGE_BAD_OPTION')
      deepEqual(await world.all(claim.run), before)
      equal(
        await world.does({ kind: 'settle', claim: { ...claim, attempt: 2 }, outcome: succeeded('1'), tx }),
        'fenced',
      )
    },
  },
  {
    promise: 'an end with no statements to go with it is an end',
    keep: async (world) => {
      for (const outcome of [succeeded('1'), retryIn(0, 'error', boom)]) {
        const { claim } = await world.running()
        const settled = await world.does({ kind: 'settle', claim, outcome, tx: [] })
        equal(settled === 'fenced' ? settled : settled.state, outcome.kind === 'succeeded' ? 'succeeded' : 'waiting')
      }
    },
  },
]

import { deepEqual, equal } from 'node:assert/strict'
import type { InstanceId, RunId } from '../../core/claim.ts'
import { retryIn } from '../../core/outcome.ts'
import { canceledFailure, crashedFailure, fateOf, poisonedFailure, type Orphan } from '../../core/rescue.ts'
import { next } from '../../core/run-state.ts'
import type { Places } from '../../stores/store.ts'
import type { StorePromise } from './promise.ts'
import { boom, ROOM, type World } from './world.ts'

/** Every combination that a death can meet; `crashes` counts it. With `onCrash: 'fail'` there is no second one. */
const ORPHANS: readonly Orphan[] = [1, 2, 3]
  .flatMap((crashes) =>
    (['retry', 'fail'] as const).flatMap((onCrash) =>
      [crashes, crashes + 1].flatMap((maxAttempts) =>
        [false, true].map((cancelRequested) => ({ crashes, cancelRequested, onCrash, tries: crashes, maxAttempts })),
      ),
    ),
  )
  .filter(({ crashes, onCrash }) => onCrash === 'retry' || crashes === 1)

/** A running run that such a death will meet. */
async function orphanToBe(world: World, orphan: Orphan): Promise<{ readonly run: RunId; readonly holder: InstanceId }> {
  const run = await world.insert({ onCrash: orphan.onCrash, maxAttempts: orphan.maxAttempts, priority: 4 })
  for (let crashes = 1; ; crashes++) {
    const holder = await world.join()
    equal((await world.claim(holder)).claimed[0]?.attempt, crashes)
    if (orphan.cancelRequested && crashes === orphan.crashes) await world.cancel(run, 'enough')
    if (crashes === orphan.crashes) return { run, holder }
    await world.rescue([holder])
  }
}

function errorOf({ verb, reason }: ReturnType<typeof fateOf>): unknown {
  if (verb === 'cancel') return canceledFailure('enough')
  return reason === 'poisoned' ? poisonedFailure : crashedFailure
}

const rescued = (orphan: Orphan): StorePromise => ({
  promise: `a dead holder: ${orphan.crashes} crashes, onCrash ${orphan.onCrash}, try ${orphan.tries} of ${orphan.maxAttempts}${orphan.cancelRequested ? ', cancel asked for' : ''}`,
  keep: async (world) => {
    const { run, holder } = await orphanToBe(world, orphan)
    await world.pass(9)
    const before = await world.find(run)
    const fate = fateOf(orphan)
    const isEnd = fate.verb !== 'rescue'
    deepEqual(await world.rescue([holder]), isEnd ? { waiting: [], ended: [run] } : { waiting: [run], ended: [] })
    deepEqual(await world.find(run), {
      ...before,
      state: next('running', fate.verb),
      crashes: orphan.crashes,
      reason: fate.reason,
      error: errorOf(fate),
      instance: null,
      finishedAt: isEnd ? world.now : null,
      dueAt: isEnd ? before.dueAt : world.now,
      number: before.number + 1,
    })
    equal((await world.claim(await world.join())).claimed.length, isEnd ? 0 : 1)
  },
})

export const rescuing: readonly StorePromise[] = [
  ...ORPHANS.map(rescued),
  {
    promise: 'those that a rescue marks dead are named, once',
    keep: async (world) => {
      const [one, two] = [await world.join(), await world.join()]
      const rescue = (...dead: readonly InstanceId[]) => world.does({ kind: 'rescue', dead, limit: 9 })
      deepEqual(await rescue(one, 'nobody'), { dead: [one], waiting: [], ended: [] })
      deepEqual(await rescue(one, two), { dead: [two], waiting: [], ended: [] })
      deepEqual(await rescue(), { dead: [], waiting: [], ended: [] })
    },
  },
  {
    promise: 'the runs of the living are left alone',
    keep: async (world) => {
      const [living, dead] = [await world.running(), await world.running()]
      const waiting = await world.insert()
      const before = [await world.find(living.claim.run), await world.find(waiting)]
      deepEqual(await world.rescue([dead.instance, 'nobody']), { waiting: [dead.claim.run], ended: [] })
      deepEqual([await world.find(living.claim.run), await world.find(waiting)], before)
      deepEqual(await world.rescue([dead.instance]), { waiting: [], ended: [] })
    },
  },
  {
    promise: 'no more are taken back at once than asked for, and none is forgotten',
    keep: async (world) => {
      const { instance, claim } = await world.running()
      const runs = [claim.run]
      for (let more = 0; more < 4; more++) runs.push(await world.insert({}, { claimFor: instance }))
      const taken: RunId[] = []
      for (const [dead, most] of [
        [[instance], 2],
        [[], 2],
        [[], 2],
      ] as const) {
        const { waiting } = await world.rescue(dead, most)
        taken.push(...waiting)
      }
      deepEqual(taken.sort(), runs.sort())
    },
  },
  {
    promise: 'an end of its own forgives a run its crashes',
    keep: async (world) => {
      const run = await world.insert()
      for (let attempt = 1; attempt <= 6; attempt += 2) {
        const dead = await world.join()
        await world.claim(dead)
        await world.rescue([dead])
        await world.claim(await world.join())
        await world.settle({ run, attempt: attempt + 1 }, retryIn(0, 'error', boom))
      }
      deepEqual([(await world.find(run)).state, (await world.find(run)).crashes], ['waiting', 0])
    },
  },
  {
    promise: 'no more runs with two crashes are claimed than there are places for them, and none is told as left',
    keep: async (world) => {
      const suspects = [await world.insert({ priority: 2 }), await world.insert({ priority: 1 })]
      for (let crash = 0; crash < 2; crash++) {
        const holders = [await world.join(), await world.join()]
        for (const holder of holders) await world.claim(holder, { places: { all: 1, threads: 0, suspects: 1 } })
        await world.rescue(holders)
      }
      const plain = await world.insert()
      const instance = await world.join()
      const claim = async (places: Partial<Places>): Promise<unknown> => {
        const { claimed, left } = await world.claim(instance, { places: { ...ROOM, ...places } })
        return [claimed.map(({ id }) => id), left]
      }
      deepEqual(await claim({ all: 0 }), [[], 2])
      deepEqual(await claim({ all: 0, suspects: 0 }), [[], 0])
      deepEqual(await claim({ suspects: 1 }), [[suspects[0], plain], null])
      deepEqual(await claim({ suspects: 0 }), [[], null])
      deepEqual(await claim({ suspects: 1 }), [[suspects[1]], null])
    },
  },
]

import { deepEqual, equal } from 'node:assert/strict'
import type { Claim, InstanceId } from '../../core/claim.ts'
import { retryIn, succeeded } from '../../core/outcome.ts'
import {
  canceledFailure,
  crashedFailure,
  DEADLINE_GRACE,
  fateAtDeadline,
  FORCED_CANCEL_AFTER,
  timedOutFailure,
} from '../../core/rescue.ts'
import { next } from '../../core/run-state.ts'
import type { StorePromise } from './promise.ts'
import { boom, type World } from './world.ts'

const TIMEOUT = 500
/** From a claim to the last moment at which nobody takes the run away. */
const BOUND = TIMEOUT + DEADLINE_GRACE
const NOTHING = { waiting: [], ended: [] }

interface Holding {
  readonly claim: Claim
  readonly holder: InstanceId
}

/** At its second attempt, after a crash. */
async function held(world: World, maxAttempts: number): Promise<Holding> {
  const { instance, claim } = await world.running({ timeout: TIMEOUT, maxAttempts })
  await world.rescue([instance])
  const holder = await world.join()
  await world.claim(holder)
  return { claim: { ...claim, attempt: 2 }, holder }
}

const isOverdue = async (world: World): Promise<boolean> => world.store.read({ kind: 'overdue' })

const passed = (cancelRequested: boolean, maxAttempts: number): StorePromise => ({
  promise: `a deadline passed: try 2 of ${maxAttempts}${cancelRequested ? ', cancel asked for' : ''}`,
  keep: async (world) => {
    const { claim, holder } = await held(world, maxAttempts)
    const { run } = claim
    if (cancelRequested) await world.cancel(run, 'enough')
    await world.pass(BOUND)
    deepEqual([await world.rescue([]), await isOverdue(world)], [NOTHING, false])
    await world.pass(1)
    const [before, { attempts }] = [await world.find(run), await world.details(run)]
    deepEqual([await world.rescue([], 0), await isOverdue(world)], [NOTHING, true])
    const fate = fateAtDeadline({ cancelRequested, tries: 2, maxAttempts })
    const isEnd = fate.verb !== 'retry'
    deepEqual(await world.rescue([]), isEnd ? { waiting: [], ended: [run] } : { waiting: [run], ended: [] })
    const error = fate.verb === 'cancel' ? canceledFailure('enough') : timedOutFailure
    deepEqual(await world.find(run), {
      ...before,
      state: next('running', fate.verb),
      crashes: 0,
      reason: fate.reason,
      error,
      instance: null,
      finishedAt: isEnd ? world.now : null,
      dueAt: isEnd ? before.dueAt : world.now,
      number: before.number + 1,
    })
    const startedAt = world.now - BOUND - 1
    const record = { attempt: 2, came: 'rescued', instance: holder, startedAt, endedAt: world.now, error }
    deepEqual((await world.details(run)).attempts, isEnd ? attempts : [...attempts, record])
    equal(await world.settle(claim, succeeded('"late"')), 'fenced')
    deepEqual([await world.rescue([]), await isOverdue(world)], [NOTHING, false])
    equal((await world.claim(holder)).claimed[0]?.attempt, isEnd ? undefined : 3)
  },
})

export const deadlines: readonly StorePromise[] = [
  ...[false, true].flatMap((cancelRequested) => [2, 3].map((maxAttempts) => passed(cancelRequested, maxAttempts))),
  {
    promise: 'the end that its holder recorded before anybody looked stands',
    keep: async (world) => {
      for (const late of [0, 5_000]) {
        const { claim } = await held(world, 10)
        await world.pass(BOUND + late)
        await world.settle(claim, succeeded('1'))
        deepEqual([await world.rescue([]), (await world.find(claim.run)).state], [NOTHING, 'succeeded'])
      }
    },
  },
  {
    promise: 'a run without a timeout has no deadline',
    keep: async (world) => {
      const { claim } = await world.running({ timeout: null })
      await world.pass(31_536_000_000)
      deepEqual([await world.rescue([]), await isOverdue(world)], [NOTHING, false])
      equal((await world.find(claim.run)).state, 'running')
    },
  },
  {
    promise: 'each attempt has a deadline of its own, and who waits has none',
    keep: async (world) => {
      const { claim, holder } = await held(world, 10)
      await world.pass(BOUND)
      await world.settle(claim, retryIn(100, 'error', boom))
      await world.pass(100)
      deepEqual([await world.rescue([]), await isOverdue(world)], [NOTHING, false])
      await world.claim(holder)
      await world.pass(BOUND)
      deepEqual(await world.rescue([]), NOTHING)
      await world.pass(1)
      deepEqual(await world.rescue([]), { waiting: [claim.run], ended: [] })
    },
  },
  {
    promise: 'of many, the runs of the dead are taken first, then those out of time, then those that do not cancel',
    keep: async (world) => {
      const unheeded = await world.running({ timeout: null, maxAttempts: 1 })
      await world.cancel(unheeded.claim.run)
      await world.pass(FORCED_CANCEL_AFTER - BOUND - 1)
      const late = await world.running({ timeout: TIMEOUT })
      await world.pass(BOUND + 1)
      const orphaned = await world.running()
      const taken = [await world.rescue([orphaned.instance], 1), await world.rescue([], 1), await world.rescue([], 1)]
      deepEqual(taken, [
        { waiting: [orphaned.claim.run], ended: [] },
        { waiting: [late.claim.run], ended: [] },
        { waiting: [], ended: [unheeded.claim.run] },
      ])
    },
  },
  {
    promise: 'a dead holder is a crash, even where its deadline has passed too',
    keep: async (world) => {
      const { instance, claim } = await world.running({ timeout: TIMEOUT })
      await world.pass(BOUND + 1)
      deepEqual(await world.rescue([instance]), { waiting: [claim.run], ended: [] })
      const { crashes, error } = await world.find(claim.run)
      deepEqual([crashes, error], [1, crashedFailure])
    },
  },
  {
    promise: 'whether anything can be taken back is told without taking it',
    keep: async (world) => {
      equal(await isOverdue(world), false)
      const [dead, asked] = [await world.running(), await world.running({ timeout: null })]
      equal(await isOverdue(world), false)
      await world.rescue([dead.instance], 0)
      equal(await isOverdue(world), true)
      await world.rescue([])
      await world.cancel(asked.claim.run)
      await world.pass(FORCED_CANCEL_AFTER - 1)
      equal(await isOverdue(world), false)
      await world.pass(1)
      equal(await isOverdue(world), true)
    },
  },
]

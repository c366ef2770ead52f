import { deepEqual, equal, ok } from 'node:assert/strict'
import { failed, released, retryIn, succeeded, type Outcome } from '../../core/outcome.ts'
import { canceledFailure, FORCED_CANCEL_AFTER } from '../../core/rescue.ts'
import type { StorePromise } from './promise.ts'
import { boom, sleeping, type World } from './world.ts'

/** A running run that was asked to cancel, and ends so. */
async function endsAfterAsking(world: World, outcome: Outcome<string | null>): Promise<readonly unknown[]> {
  const { claim } = await world.running()
  await world.cancel(claim.run, 'enough')
  const settled = await world.settle(claim, outcome)
  ok(settled !== 'fenced')
  const { state, reason, error, cancelRequested, tries, finishedAt } = await world.find(claim.run)
  deepEqual([settled.state, cancelRequested, tries, finishedAt], [state, true, 1, world.now])
  return [state, reason, error]
}

export const cancelling: readonly StorePromise[] = [
  {
    promise: 'a waiting run is canceled at once',
    keep: async (world) => {
      for (const delay of [0, 1_000]) {
        const run = await world.insert({ delay })
        const answer = await world.cancel(run, 'enough')
        const record = await world.find(run)
        deepEqual(answer, { done: true, run: record })
        const { state, reason, error, finishedAt, cancelRequested, number } = record
        deepEqual([state, reason, error, cancelRequested], ['canceled', 'canceled', canceledFailure('enough'), true])
        deepEqual([finishedAt, number], [world.now, 2])
      }
      await world.pass(1_000)
      deepEqual((await world.claim(await world.join())).claimed, [])
    },
  },
  {
    promise: 'a running run is asked, and goes on until its holder ends it',
    keep: async (world) => {
      const { claim, instance } = await world.running()
      const other = await world.running()
      deepEqual(await world.store.read({ kind: 'performing', instance }), [{ claim, cancelRequested: false }])
      const answer = await world.cancel(claim.run)
      deepEqual(answer, { done: true, run: await world.find(claim.run) })
      const { state, cancelRequested, number, instance: holder } = await world.find(claim.run)
      deepEqual([state, cancelRequested, number, holder], ['running', true, 3, instance])
      deepEqual(await world.store.read({ kind: 'performing', instance }), [{ claim, cancelRequested: true }])
      deepEqual(await world.store.read({ kind: 'performing', instance: other.instance }), [
        { claim: other.claim, cancelRequested: false },
      ])
      await world.settle(claim, released)
      deepEqual(await world.store.read({ kind: 'performing', instance }), [])
    },
  },
  {
    promise: 'asking again changes nothing: the first reason stays',
    keep: async (world) => {
      const { claim } = await world.running()
      const first = await world.cancel(claim.run, 'first')
      await world.pass(5)
      deepEqual(await world.cancel(claim.run, 'second'), first)
      equal(first !== 'unknown' && first.done, true)
      await world.settle(claim, released)
      deepEqual((await world.find(claim.run)).error, canceledFailure('first'))
    },
  },
  {
    promise: 'a run that has ended stays as it ended',
    keep: async (world) => {
      for (const outcome of [succeeded('1'), failed('error', boom)]) {
        const { claim } = await world.running()
        await world.settle(claim, outcome)
        const before = await world.find(claim.run)
        deepEqual(await world.cancel(claim.run), { done: false, run: before })
        deepEqual(await world.find(claim.run), before)
      }
    },
  },
  {
    promise: 'an unknown run cannot be canceled',
    keep: async (world) => equal(await world.cancel(world.id()), 'unknown'),
  },
  {
    promise: 'where cancel was asked for, every end but a success is a cancel',
    keep: async (world) => {
      const canceled = ['canceled', 'canceled', canceledFailure('enough')]
      deepEqual(await endsAfterAsking(world, failed('error', boom)), canceled)
      deepEqual(await endsAfterAsking(world, retryIn(10, 'timeout', boom)), canceled)
      deepEqual(await endsAfterAsking(world, released), canceled)
      deepEqual(await endsAfterAsking(world, sleeping(10)), canceled)
      deepEqual(await endsAfterAsking(world, { kind: 'canceled', error: boom }), ['canceled', 'canceled', boom])
      deepEqual(await endsAfterAsking(world, succeeded('1')), ['succeeded', null, null])
    },
  },
  {
    promise: 'ten seconds after it was asked, a running run is canceled by whoever looks, and its holder is fenced',
    keep: async (world) => {
      const { claim } = await world.running()
      const other = await world.running()
      await world.cancel(claim.run, 'enough')
      await world.pass(FORCED_CANCEL_AFTER - 1)
      deepEqual(await world.rescue([]), { waiting: [], ended: [] })
      await world.pass(1)
      deepEqual(await world.rescue([], 0), { waiting: [], ended: [] })
      deepEqual(await world.rescue([]), { waiting: [], ended: [claim.run] })
      const { state, error, finishedAt, instance, number } = await world.find(claim.run)
      deepEqual(
        [state, error, finishedAt, instance, number],
        ['canceled', canceledFailure('enough'), world.now, null, 4],
      )
      equal(await world.settle(claim, succeeded('1')), 'fenced')
      equal((await world.find(other.claim.run)).state, 'running')
    },
  },
]

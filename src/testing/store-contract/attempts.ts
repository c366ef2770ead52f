import { deepEqual, equal } from 'node:assert/strict'
import { canceled, failed, released, retryIn, succeeded, type Outcome } from '../../core/outcome.ts'
import { next } from '../../core/run-state.ts'
import type { StorePromise } from './promise.ts'
import { boom, type World } from './world.ts'

/** What a second attempt, after one crash, becomes by that outcome. */
async function after(world: World, outcome: Outcome<string | null>): Promise<readonly unknown[]> {
  const { instance: first, claim } = await world.running()
  await world.rescue([first])
  await world.claim(await world.join())
  await world.pass(3)
  const before = await world.find(claim.run)
  const settled = await world.settle({ run: claim.run, attempt: 2 }, outcome)
  const run = await world.find(claim.run)
  deepEqual(settled, { state: run.state, at: run.finishedAt ?? run.dueAt })
  deepEqual([run.number, run.instance, run.attempt, run.startedAt], [before.number + 1, null, 2, before.startedAt])
  return [run.state, run.finishedAt, run.dueAt, run.tries, run.crashes, run.reason, run.error, run.result]
}

export const attempts: readonly StorePromise[] = [
  {
    promise: 'each outcome leaves the run as the state table and its counters say',
    keep: async (world) => {
      const start = world.now
      deepEqual(await after(world, succeeded('1')), [
        next('running', 'succeed'),
        start + 3,
        start,
        2,
        0,
        null,
        null,
        '1',
      ])
      const second = world.now
      const failure = failed('timeout', boom)
      deepEqual(await after(world, failure), [next('running', 'fail'), second + 3, second, 2, 0, 'timeout', boom, null])
      const third = world.now
      const retry = retryIn(9, 'error', boom)
      deepEqual(await after(world, retry), [next('running', 'retry'), null, third + 12, 2, 0, null, boom, null])
      const fourth = world.now
      const cancel = canceled(boom)
      deepEqual(await after(world, cancel), [
        next('running', 'cancel'),
        fourth + 3,
        fourth,
        2,
        0,
        'canceled',
        boom,
        null,
      ])
    },
  },
  {
    promise: 'a release is due at once, and neither counts as a try nor forgives a crash',
    keep: async (world) => {
      const [state, finishedAt, dueAt, tries, crashes] = await after(world, released)
      deepEqual([state, finishedAt, dueAt, tries, crashes], [next('running', 'release'), null, world.now, 1, 1])
    },
  },
  {
    promise: 'the attempt number never goes down and is never given twice',
    keep: async (world) => {
      const run = await world.insert({ maxAttempts: 100 })
      const outcomes = [
        released,
        retryIn(0, 'error', boom),
        'crash',
        released,
        released,
        retryIn(0, 'timeout', boom),
      ] as const
      for (const [index, outcome] of outcomes.entries()) {
        const instance = await world.join()
        equal((await world.claim(instance)).claimed[0]?.attempt, index + 1)
        if (outcome === 'crash') await world.rescue([instance])
        else await world.settle({ run, attempt: index + 1 }, outcome)
      }
      deepEqual([(await world.find(run)).attempt, (await world.find(run)).tries], [6, 3])
    },
  },
  {
    promise: 'an end without a result has none',
    keep: async (world) => {
      const { claim } = await world.running()
      await world.settle(claim, succeeded(null))
      deepEqual([(await world.find(claim.run)).state, (await world.find(claim.run)).result], ['succeeded', null])
    },
  },
]

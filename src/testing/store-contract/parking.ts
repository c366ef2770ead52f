import { deepEqual, equal } from 'node:assert/strict'
import { retryIn } from '../../core/outcome.ts'
import { FOREVER, signalStep, sleepStep, waitStep } from '../../core/waiting.ts'
import type { StorePromise } from './promise.ts'
import { boom, sleeping, waitingFor } from './world.ts'

const YEAR = 31_536_000_000

export const parking: readonly StorePromise[] = [
  {
    promise: 'a parked run waits for its moment, and that counts neither as a try nor as a failure',
    keep: async (world) => {
      const { instance, claim } = await world.running()
      await world.settle(claim, retryIn(0, 'error', boom))
      await world.claim(instance)
      await world.pass(3)
      const before = await world.find(claim.run)
      const dueAt = world.now + 50
      deepEqual(await world.settle({ ...claim, attempt: 2 }, sleeping(50)), { state: 'waiting', at: dueAt })
      const after = { state: 'waiting', tries: 1, dueAt, instance: null, number: before.number + 1 }
      deepEqual(await world.find(claim.run), { ...before, ...after })
      deepEqual([before.tries, before.error], [2, boom])
      await world.pass(49)
      deepEqual([(await world.claim(instance)).claimed, (await world.claim(instance)).next], [[], 1])
      await world.pass(1)
      deepEqual((await world.claim(instance)).claimed[0]?.attempt, 3)
    },
  },
  {
    promise: 'parking forgives a run its crashes',
    keep: async (world) => {
      const { instance, claim } = await world.running()
      await world.rescue([instance])
      await world.claim(await world.join())
      equal((await world.find(claim.run)).crashes, 1)
      await world.settle({ ...claim, attempt: 2 }, sleeping(0))
      equal((await world.find(claim.run)).crashes, 0)
    },
  },
  {
    promise: 'the moment is remembered as a step, and holds when the run parks at it again',
    keep: async (world) => {
      const { instance, claim } = await world.running()
      const moment = world.now + 50
      const step = { name: sleepStep('nap'), result: JSON.stringify(moment) }
      await world.settle(claim, sleeping(50, 'nap'))
      deepEqual((await world.details(claim.run)).steps, [step])
      await world.pass(70)
      await world.claim(instance)
      deepEqual(await world.settle({ ...claim, attempt: 2 }, sleeping(50, 'nap')), { state: 'waiting', at: moment })
      deepEqual((await world.details(claim.run)).steps, [step])
    },
  },
  {
    promise: 'a moment may be named, and one that has passed is due at once',
    keep: async (world) => {
      for (const distance of [40, -40]) {
        const { claim } = await world.running()
        const at = world.now + distance
        deepEqual(await world.settle(claim, { ...sleeping(0), after: null, at }), { state: 'waiting', at })
        equal((await world.claim(await world.join())).claimed.length, distance < 0 ? 1 : 0)
      }
    },
  },
  {
    promise: 'a run that waits for a signal without a bound waits for ever',
    keep: async (world) => {
      const { instance, claim } = await world.running()
      deepEqual(await world.settle(claim, waitingFor('paid')), { state: 'waiting', at: FOREVER })
      const { waitingFor: name, dueAt, state } = await world.find(claim.run)
      deepEqual([name, dueAt, state], ['paid', FOREVER, 'waiting'])
      const step = { name: waitStep({ name: 'paid', nth: 1 }), result: JSON.stringify(FOREVER) }
      deepEqual((await world.details(claim.run)).steps, [step])
      await world.pass(YEAR)
      deepEqual((await world.claim(instance)).claimed, [])
    },
  },
  {
    promise: 'a run that waits for a signal with a bound is due when that has passed, and waits for it no longer',
    keep: async (world) => {
      const { instance, claim } = await world.running()
      await world.settle(claim, waitingFor('paid', 1, 20))
      deepEqual((await world.claim(instance)).next, 20)
      await world.pass(20)
      equal((await world.find(claim.run)).waitingFor, 'paid')
      equal((await world.claim(instance)).claimed[0]?.waitingFor, null)
      equal((await world.find(claim.run)).waitingFor, null)
    },
  },
  {
    promise: 'a run whose signal came before it parked is due at once',
    keep: async (world) => {
      const { instance, claim } = await world.running()
      await world.signal(claim.run, 'paid', '1')
      await world.pass(5)
      deepEqual(await world.settle(claim, waitingFor('paid')), { state: 'waiting', at: world.now })
      deepEqual((await world.find(claim.run)).waitingFor, null)
      deepEqual(
        (await world.details(claim.run)).steps.map(({ name }) => name),
        [signalStep({ name: 'paid', nth: 1 }), waitStep({ name: 'paid', nth: 1 })],
      )
      equal((await world.claim(instance)).claimed[0]?.attempt, 2)
      deepEqual(await world.settle({ ...claim, attempt: 2 }, waitingFor('paid', 2)), { state: 'waiting', at: FOREVER })
    },
  },
  {
    promise: 'a parked run can be canceled, and then waits for nothing',
    keep: async (world) => {
      for (const outcome of [sleeping(50), waitingFor('paid')]) {
        const { claim } = await world.running()
        await world.settle(claim, outcome)
        await world.cancel(claim.run)
        const { state, waitingFor: name, finishedAt } = await world.find(claim.run)
        deepEqual([state, name, finishedAt], ['canceled', null, world.now])
      }
    },
  },
  {
    promise: 'where cancel was asked for, nothing is remembered of the parking',
    keep: async (world) => {
      const { claim } = await world.running()
      await world.cancel(claim.run)
      await world.settle(claim, waitingFor('paid'))
      const { record, steps, attempts } = await world.details(claim.run)
      deepEqual([record.state, record.waitingFor, steps, attempts], ['canceled', null, [], []])
    },
  },
]

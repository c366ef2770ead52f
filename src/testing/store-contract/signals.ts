import { deepEqual, equal } from 'node:assert/strict'
import { failed, succeeded } from '../../core/outcome.ts'
import { FOREVER, MOST_SIGNALS, signalStep } from '../../core/waiting.ts'
import type { Write } from '../../stores/store.ts'
import type { StorePromise } from './promise.ts'
import { boom, sleeping, waitingFor } from './world.ts'

const step = (name: string, nth: number, result: string): object => ({ name: signalStep({ name, nth }), result })

export const signals: readonly StorePromise[] = [
  {
    promise: 'signals are remembered in order, each as the next of its name, and change nothing else',
    keep: async (world) => {
      const waiting = await world.insert({ delay: 10 })
      const { claim } = await world.running()
      for (const run of [waiting, claim.run]) {
        const before = await world.find(run)
        for (const [name, payload] of [
          ['paid', '{"a":1}'],
          ['sent', 'null'],
          ['paid', '[]'],
        ] as const)
          equal(await world.signal(run, name, payload), 'done')
        deepEqual((await world.details(run)).steps, [
          step('paid', 1, '[{"a":1}]'),
          step('sent', 1, '[null]'),
          step('paid', 2, '[[]]'),
        ])
        deepEqual(await world.find(run), before)
      }
    },
  },
  {
    promise: 'a name is counted by itself, whatever is in it',
    keep: async (world) => {
      const run = await world.insert()
      const names = ['a', 'a#1', 'a#', '#', 'A', 'a%', 'a_', 'a\0', 'ab', `'"\\`, '*', '[a]', '?', 'é', '漢', '']
      for (const name of names) await world.signal(run, name)
      for (const name of names) await world.signal(run, name)
      const expected = [1, 2].flatMap((nth) => names.map((name) => step(name, nth, '[null]')))
      deepEqual((await world.details(run)).steps, expected)
    },
  },
  {
    promise: 'the run that waits for a signal is due as soon as it comes',
    keep: async (world) => {
      const { instance, claim } = await world.running()
      await world.settle(claim, waitingFor('paid'))
      const before = await world.find(claim.run)
      await world.pass(7)
      await world.signal(claim.run, 'paid', '1')
      const after = { waitingFor: null, dueAt: world.now, number: before.number + 1 }
      deepEqual(await world.find(claim.run), { ...before, ...after })
      equal((await world.claim(instance)).claimed[0]?.attempt, 2)
    },
  },
  {
    promise: 'a run that waits for another signal, sleeps or is tried again later is not disturbed',
    keep: async (world) => {
      for (const outcome of [waitingFor('sent'), waitingFor('paid#1'), sleeping(10)]) {
        const { claim } = await world.running()
        await world.settle(claim, outcome)
        const before = await world.find(claim.run)
        await world.signal(claim.run, 'paid')
        deepEqual(await world.find(claim.run), before)
      }
    },
  },
  {
    promise: 'a wait that timed out has used up its signal: the next one is for the next wait',
    keep: async (world) => {
      const { claim } = await world.running()
      const timedOut = { name: signalStep({ name: 'paid', nth: 1 }), result: '[]' }
      await world.does({ kind: 'record', claim, step: timedOut })
      deepEqual(await world.settle(claim, waitingFor('paid', 2)), { state: 'waiting', at: FOREVER })
      await world.signal(claim.run, 'paid')
      deepEqual((await world.details(claim.run)).steps.at(-1), step('paid', 2, '[null]'))
      equal((await world.find(claim.run)).dueAt, world.now)
    },
  },
  {
    promise: 'a run that has ended takes no signal, and one that is not there is unknown',
    keep: async (world) => {
      equal(await world.signal(world.id(), 'paid'), 'unknown')
      const waiting = await world.insert()
      await world.cancel(waiting)
      const ends = [waiting]
      for (const outcome of [succeeded('1'), failed('error', boom)]) {
        const { claim } = await world.running()
        await world.settle(claim, outcome)
        ends.push(claim.run)
      }
      for (const run of ends) {
        const before = await world.all(run)
        equal(await world.signal(run, 'paid'), 'finished')
        deepEqual(await world.all(run), before)
      }
    },
  },
  {
    promise: 'no run has more than a thousand signals of one name',
    keep: async (world) => {
      const run = await world.insert()
      const one: Write = { kind: 'signal', run, name: 'paid', payload: '1' }
      await world.store.write(Array.from({ length: MOST_SIGNALS - 1 }, () => one))
      equal(await world.signal(run, 'paid', '2'), 'done')
      equal(await world.refused(one), 'OFFSTAGE_OVERLOADED')
      equal(await world.signal(run, 'sent'), 'done')
      const { steps } = await world.details(run)
      deepEqual([steps.length, steps.at(-2)], [MOST_SIGNALS + 1, step('paid', MOST_SIGNALS, '[2]')])
    },
  },
]

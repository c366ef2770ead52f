import { deepEqual, equal } from 'node:assert/strict'
import type { RunId } from '../../core/claim.ts'
import { failed, released, retryIn, succeeded } from '../../core/outcome.ts'
import { POISONED_AT } from '../../core/rescue.ts'
import { signalStep, sleepStep, waitStep } from '../../core/waiting.ts'
import type { Changes, Note } from '../../stores/store.ts'
import { LEADS } from './leads.ts'
import type { StorePromise } from './promise.ts'
import { boom, ROOM, type World } from './world.ts'

const line: Note = { type: 'log', data: { at: 1, level: 'warn', message: 'hm', fields: '{}' } }

/** A run with a past: it crashed, was tried again, remembered and told something, and is at its third attempt. */
async function seasoned(world: World): Promise<string> {
  const { instance, claim } = await world.running({ input: '7' })
  await world.rescue([instance])
  const holder = await world.join()
  await world.claim(holder)
  const second = { ...claim, attempt: 2 }
  await world.does({ kind: 'record', claim: second, step: { name: 'a', result: '1' } })
  await world.note(second, { type: 'progress', data: { done: 1 } }, { type: 'output', data: '1' }, line)
  await world.settle(second, retryIn(0, 'error', boom))
  await world.claim(holder)
  await world.pass(5)
  return claim.run
}

export const operating: readonly StorePromise[] = [
  {
    promise: 'a run that is run again waits anew: what is kept is its steps, its sleeps and the signals that came',
    keep: async (world) => {
      const { claim } = await world.running()
      const steps = [
        { name: 'a', result: '1' },
        { name: sleepStep('s'), result: '5' },
        { name: signalStep({ name: 'came', nth: 1 }), result: '["x"]' },
        { name: waitStep({ name: 'came', nth: 1 }), result: '7' },
        { name: signalStep({ name: 'late', nth: 1 }), result: '[]' },
        { name: waitStep({ name: 'late', nth: 1 }), result: '7' },
      ]
      for (const step of steps) await world.does({ kind: 'record', claim, step })
      await world.settle(claim, failed('error', boom))
      await world.control(claim.run, 'rerun')
      deepEqual(await world.store.read({ kind: 'steps', run: claim.run }), steps.slice(0, 3))
    },
  },
  {
    promise: 'a run that failed is run again from nothing but what it remembers',
    keep: async (world) => {
      const run = await seasoned(world)
      await world.settle({ run, attempt: 3 }, failed('timeout', boom))
      const { record: before, ...past } = await world.details(run)
      await world.pass(9)
      const answer = await world.control(run, 'rerun')
      const { record, ...kept } = await world.details(run)
      deepEqual(answer, { done: true, run: record })
      const fresh = { tries: 0, crashes: 0, reason: null, error: null, finishedAt: null }
      const number = before.number + 1
      deepEqual(record, { ...before, ...fresh, state: 'waiting', dueAt: world.now, number })
      const end = { attempt: 3, came: 'failed', instance: null, startedAt: world.now - 14, endedAt: world.now - 9 }
      deepEqual(kept, { ...past, attempts: [...past.attempts, { ...end, error: boom }] })
      equal((await world.events(run)).events.length, 2)
      const [claimed] = (await world.claim(await world.join())).claimed
      deepEqual([claimed?.attempt, claimed?.tries, claimed?.input], [4, 1, '7'])
    },
  },
  {
    promise: 'a run that was canceled and is run again is not canceled any more',
    keep: async (world) => {
      const { claim, instance } = await world.running()
      await world.cancel(claim.run, 'enough')
      await world.settle(claim, released)
      const waiting = await world.insert({ delay: 1_000 })
      await world.cancel(waiting)
      for (const run of [claim.run, waiting]) {
        await world.control(run, 'rerun')
        const { state, cancelRequested, reason, error, dueAt } = await world.find(run)
        deepEqual([state, cancelRequested, reason, error, dueAt], ['waiting', false, null, null, world.now])
      }
      await world.claim(instance)
      const settled = await world.settle({ ...claim, attempt: 2 }, released)
      equal(settled === 'fenced' ? settled : settled.state, 'waiting')
      equal((await world.cancel(waiting)) !== 'unknown' && (await world.find(waiting)).cancelRequested, true)
    },
  },
  {
    promise: 'a poisoned run that is run again is nobody’s suspect any more',
    keep: async (world) => {
      const run = await world.insert()
      for (let crash = 0; crash < POISONED_AT; crash++) {
        const holder = await world.join()
        await world.claim(holder)
        await world.rescue([holder])
      }
      equal((await world.find(run)).reason, 'poisoned')
      await world.control(run, 'rerun')
      equal((await world.find(run)).crashes, 0)
      const { claimed } = await world.claim(await world.join(), { places: { ...ROOM, suspects: 0 } })
      equal(claimed[0]?.attempt, POISONED_AT + 1)
    },
  },
  {
    promise: 'the attempt that ended a run is remembered when the run is run again, and no other',
    keep: async (world) => {
      const { claim } = await world.running()
      await world.settle(claim, { kind: 'canceled', error: boom })
      const untouched = await world.insert()
      const retried = await world.running()
      await world.settle(retried.claim, retryIn(50, 'error', boom))
      for (const run of [untouched, retried.claim.run]) await world.cancel(run)
      const came = async (run: RunId): Promise<unknown> => {
        await world.control(run, 'rerun')
        return (await world.details(run)).attempts.map((attempt) => [attempt.attempt, attempt.came, attempt.error])
      }
      deepEqual(await came(claim.run), [[1, 'canceled', boom]])
      deepEqual(await came(untouched), [])
      deepEqual(await came(retried.claim.run), [[1, 'retry', boom]])
    },
  },
  {
    promise: 'only what failed or was canceled is run again, and only what ended is removed',
    keep: async (world) => {
      for (const [verb, states] of [
        ['rerun', ['waiting', 'running', 'succeeded']],
        ['remove', ['waiting', 'running']],
      ] as const) {
        for (const state of states) {
          const { run } = await LEADS[state](world)
          const before = await world.all(run)
          deepEqual(await world.control(run, verb), { done: false, run: await world.find(run) })
          deepEqual(await world.all(run), before, `${verb} of a run that is ${state}`)
        }
      }
    },
  },
  {
    promise: 'a run that is removed is gone with all that was kept of it',
    keep: async (world) => {
      for (const outcome of [succeeded('1'), failed('error', boom), { kind: 'canceled', error: boom } as const]) {
        const run = await seasoned(world)
        await world.settle({ run, attempt: 3 }, outcome)
        await world.signal(await world.insert(), 'paid')
        const before = await world.find(run)
        deepEqual(await world.control(run, 'remove'), { done: true, run: before })
        for (const question of ['find', 'details'] as const)
          equal(await world.store.read({ kind: question, run }), undefined)
        equal(await world.store.read({ kind: 'events', run, after: 0 }), undefined)
        deepEqual(await world.store.read({ kind: 'steps', run }), [])
        equal(await world.control(run, 'remove'), 'unknown')
        await world.insert({ id: run })
        const { record, ...past } = await world.details(run)
        deepEqual([record.attempt, past], [0, { input: null, attempts: [], steps: [], logs: [] }])
        deepEqual((await world.events(run)).events, [])
      }
    },
  },
  {
    promise: 'what is not there can be neither canceled, nor run again, nor removed',
    keep: async (world) => {
      const answers: Changes['control'][1][] = []
      for (const verb of ['cancel', 'rerun', 'remove'] as const)
        answers.push(await world.does({ kind: 'control', run: world.id(), verb, reason: null }))
      deepEqual(answers, ['unknown', 'unknown', 'unknown'])
    },
  },
]

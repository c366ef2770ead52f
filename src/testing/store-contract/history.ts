import { deepEqual, equal } from 'node:assert/strict'
import { released, retryIn, succeeded, type Outcome } from '../../core/outcome.ts'
import { crashedFailure } from '../../core/rescue.ts'
import type { LogRecord, Note, Write } from '../../stores/store.ts'
import { KEPT_ATTEMPTS, KEPT_LOGS } from '../../core/run-events.ts'
import { LEADS } from './leads.ts'
import type { StorePromise } from './promise.ts'
import { boom, registered, sleeping } from './world.ts'

const logged = (message: string): Note & { readonly type: 'log' } => ({
  type: 'log',
  data: { at: 1_795_000_000_000, level: 'info', message, fields: '{"a":[1]}' },
})
const lineOf = (attempt: number, message: string): LogRecord => ({ attempt, ...logged(message).data })

export const history: readonly StorePromise[] = [
  {
    promise: 'an attempt that did not end its run is remembered: how it came, whose it was, when, and why',
    keep: async (world) => {
      const run = await world.insert()
      const ways: readonly (readonly [string, Outcome<string | null> | null, unknown])[] = [
        ['retry', retryIn(0, 'error', boom), boom],
        ['parked', sleeping(0), null],
        ['rescued', null, crashedFailure],
        ['released', released, null],
      ]
      const expected: unknown[] = []
      for (const [index, [came, outcome, error]] of ways.entries()) {
        const instance = await world.join()
        await world.claim(instance)
        const [attempt, startedAt] = [index + 1, world.now]
        await world.pass(4)
        if (outcome === null) await world.rescue([instance])
        else await world.settle({ run, attempt }, outcome)
        expected.push({ attempt, came, instance, startedAt, endedAt: world.now, error })
        deepEqual((await world.details(run)).attempts, expected)
      }
    },
  },
  {
    promise: 'the attempt that ended its run is told by the run alone',
    keep: async (world) => {
      for (const state of ['succeeded', 'failed', 'canceled'] as const)
        deepEqual((await world.details((await LEADS[state](world)).run)).attempts, [])
      const { claim } = await world.running()
      await world.cancel(claim.run)
      await world.settle(claim, retryIn(0, 'error', boom))
      deepEqual((await world.details(claim.run)).attempts, [])
    },
  },
  {
    promise: 'lines that were logged are kept with their attempt, in order, and take no number',
    keep: async (world) => {
      const { instance, claim } = await world.running()
      const other = await world.running()
      const before = await world.find(claim.run)
      equal(await world.note(claim, logged('b'), logged('a')), 'done')
      await world.note(other.claim, logged('of another run'))
      deepEqual(await world.find(claim.run), before)
      const progress: Note = { type: 'progress', data: { done: 1 } }
      await world.note(claim, logged('c'), { type: 'output', data: '1' }, logged('d'), progress)
      const { record, events } = await world.events(claim.run)
      const { number } = before
      deepEqual([record.number, record.progress], [number + 2, { done: 1 }])
      deepEqual(events, [
        { number: number + 1, type: 'output', data: 1 },
        { number: number + 2, ...progress },
      ])
      await world.settle(claim, released)
      await world.claim(instance)
      await world.note({ ...claim, attempt: 2 }, logged('a'))
      const lines = [...['b', 'a', 'c', 'd'].map((message) => lineOf(1, message)), lineOf(2, 'a')]
      deepEqual((await world.details(claim.run)).logs, lines)
      await world.settle({ ...claim, attempt: 2 }, succeeded(null))
      deepEqual((await world.details(claim.run)).logs, lines)
    },
  },
  {
    promise: 'lines come back as they were',
    keep: async (world) => {
      const { claim } = await world.running()
      const data = { at: 1.5, level: 'error', message: 'a\0b\ud800\'"\u2028', fields: '{"\\u0000":"é"}' } as const
      await world.note(claim, { type: 'log', data })
      deepEqual((await world.details(claim.run)).logs, [{ attempt: 1, ...data }])
    },
  },
  {
    promise: 'the latest lines of each attempt are kept',
    keep: async (world) => {
      const { instance, claim } = await world.running()
      const texts = Array.from({ length: KEPT_LOGS + 5 }, (_, index) => String(index))
      await world.note(claim, ...texts.slice(0, 10).map(logged))
      await world.note(claim, ...texts.slice(10).map(logged))
      await world.settle(claim, released)
      await world.claim(instance)
      await world.note({ ...claim, attempt: 2 }, logged('next'))
      const { logs } = await world.details(claim.run)
      deepEqual(logs, [...texts.slice(5).map((text) => lineOf(1, text)), lineOf(2, 'next')])
    },
  },
  {
    promise: 'the latest attempts are kept, and the lines of those that are let go are let go with them',
    keep: async (world) => {
      const instance = await world.join()
      const run = await world.insert()
      const places = { all: 1, threads: 0, suspects: 1 }
      const attempts = Array.from({ length: KEPT_ATTEMPTS + 3 }, (_, index) => index + 1)
      const batch = attempts.flatMap((attempt): readonly Write[] => [
        { kind: 'claim', instance, can: [registered()], places },
        { kind: 'note', claim: { run, attempt }, notes: [logged('a'), logged('b')] },
        { kind: 'settle', claim: { run, attempt }, outcome: released },
      ])
      await world.store.write(batch)
      const { attempts: past, logs } = await world.details(run)
      const kept = attempts.slice(3)
      deepEqual(
        past.map(({ attempt }) => attempt),
        kept,
      )
      deepEqual(
        logs,
        kept.flatMap((attempt) => [lineOf(attempt, 'a'), lineOf(attempt, 'b')]),
      )
    },
  },
]

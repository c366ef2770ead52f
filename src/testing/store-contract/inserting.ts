import { deepEqual, equal } from 'node:assert/strict'
import { succeeded } from '../../core/outcome.ts'
import type { StorePromise } from './promise.ts'

/** Of a run that nobody has claimed yet. */
const UNTOUCHED = {
  state: 'waiting',
  attempt: 0,
  tries: 0,
  crashes: 0,
  reason: null,
  waitingFor: null,
  startedAt: null,
  finishedAt: null,
  progress: null,
  result: null,
  error: null,
  cancelRequested: false,
  instance: null,
  number: 1,
  trimmed: 0,
}

export const inserting: readonly StorePromise[] = [
  {
    promise: 'an inserted run waits, with all that was asked of it',
    keep: async (world) => {
      const parent = await world.insert()
      const fields = {
        priority: -3,
        queue: 'slow',
        maxAttempts: 4,
        timeout: null,
        onCrash: 'fail',
        owner: 'ann',
      } as const
      const asked = world.run({
        ...fields,
        task: 'other',
        version: 2,
        thread: true,
        tags: ['a', 'b'],
        parent,
        input: '{"a":1}',
      })
      const now = world.now
      const answer = await world.does({ kind: 'insert', run: asked })
      deepEqual(answer, { id: asked.id, disposition: 'created', createdAt: now, dueAt: now, claimed: false })
      const { input: _, delay: __, at: ___, idempotency: ____, ...kept } = asked
      deepEqual(await world.find(asked.id), { ...kept, ...UNTOUCHED, createdAt: now, dueAt: now })
    },
  },
  {
    promise: 'a run inserted twice is one run, and the second time changes nothing',
    keep: async (world) => {
      const run = world.run({ input: '1' })
      const first = await world.does({ kind: 'insert', run })
      const before = await world.find(run.id)
      await world.pass(5)
      const again = await world.does({
        kind: 'insert',
        run: { ...run, task: 'other', priority: 9, input: '2', delay: 50 },
      })
      deepEqual(again, first === 'fenced' ? first : { ...first, disposition: 'existing' })
      deepEqual(await world.find(run.id), before)
      equal((await world.claim(await world.join())).claimed[0]?.input, '1')
    },
  },
  {
    promise: 'a run inserted twice in one batch is one run',
    keep: async (world) => {
      const run = world.run()
      const answers = await world.store.write([run, run].map((one) => ({ kind: 'insert', run: one })))
      deepEqual(
        answers.map((answer) => typeof answer === 'object' && 'disposition' in answer && answer.disposition),
        ['created', 'existing'],
      )
    },
  },
  {
    promise: 'a run that has ended is not started anew by its id',
    keep: async (world) => {
      const { claim, instance } = await world.running()
      await world.settle(claim, succeeded('1'))
      const before = await world.find(claim.run)
      const again = await world.does({ kind: 'insert', run: world.run({ id: claim.run }), claimFor: instance })
      equal(again !== 'fenced' && again.claimed, false)
      deepEqual(await world.find(claim.run), before)
    },
  },
  {
    promise: 'a child is inserted under the claim of its parent',
    keep: async (world) => {
      const { claim } = await world.running()
      const child = await world.insert({ parent: claim.run }, { by: claim })
      equal((await world.find(child)).parent, claim.run)
    },
  },
]

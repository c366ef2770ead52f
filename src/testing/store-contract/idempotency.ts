import { deepEqual, equal } from 'node:assert/strict'
import type { RunId } from '../../core/claim.ts'
import { IDEMPOTENCY_FOR } from '../../core/idempotency.ts'
import { succeeded } from '../../core/outcome.ts'
import type { Inserted, NewRun } from '../../stores/store.ts'
import type { StorePromise } from './promise.ts'
import type { World } from './world.ts'

const KEY = { key: 'order-17', fingerprint: 'of the input' }

const start = async (world: World, fields: Partial<NewRun> = {}): Promise<Inserted | 'fenced'> =>
  world.does({ kind: 'insert', run: world.run({ idempotency: KEY, ...fields }) })

/** Whose run it is, and whether that is a new one. */
async function told(world: World, fields: Partial<NewRun> = {}): Promise<readonly [string, RunId]> {
  const answer = await start(world, fields)
  return answer === 'fenced' ? [answer, ''] : [answer.disposition, answer.id]
}

export const idempotency: readonly StorePromise[] = [
  {
    promise: 'starts with one key and one input are one run, and the later ones change nothing',
    keep: async (world) => {
      const first = await start(world, { delay: 30 })
      const run = first === 'fenced' ? first : first.id
      const before = await world.all(run)
      await world.pass(5)
      const second = world.run({ idempotency: KEY, priority: 9, input: '2' })
      const answer = await world.does({ kind: 'insert', run: second })
      deepEqual(answer, {
        id: run,
        disposition: 'existing',
        createdAt: world.now - 5,
        dueAt: world.now + 25,
        claimed: false,
      })
      deepEqual(await world.all(run), before)
      equal(await world.store.read({ kind: 'find', run: second.id }), undefined)
    },
  },
  {
    promise: 'a key with another input is refused, and nothing is added',
    keep: async (world) => {
      const [, id] = await told(world)
      const other = world.run({ idempotency: { ...KEY, fingerprint: 'of another' } })
      equal(await world.refused({ kind: 'insert', run: other }), 'OFFSTAGE_IDEMPOTENCY_MISMATCH')
      equal(await world.store.read({ kind: 'find', run: other.id }), undefined)
      deepEqual(await told(world), ['existing', id])
    },
  },
  {
    promise: 'a key is of one task and one owner, and of no other text',
    keep: async (world) => {
      const others: readonly Partial<NewRun>[] = [
        {},
        { owner: 'ann' },
        { owner: 'bob' },
        { owner: '' },
        { task: 'other' },
        ...['', 'order-17\0', 'Order-17', 'order-1_', '%'].map((key) => ({ idempotency: { ...KEY, key } })),
        { idempotency: null },
      ]
      for (const fields of others) equal((await told(world, fields))[0], 'created', JSON.stringify(fields))
      for (const fields of others.slice(0, -1))
        equal((await told(world, fields))[0], 'existing', JSON.stringify(fields))
      equal((await told(world, { idempotency: null }))[0], 'created')
      equal((await told(world, { version: 2, queue: 'slow' }))[0], 'existing')
    },
  },
  {
    promise: 'two starts with one key in one batch are one run',
    keep: async (world) => {
      const runs = [world.run({ idempotency: KEY }), world.run({ idempotency: KEY })]
      const answers = await world.store.write(runs.map((run) => ({ kind: 'insert', run })))
      const ids = answers.map((answer) => typeof answer === 'object' && 'id' in answer && answer.id)
      deepEqual(ids, [runs[0]?.id, runs[0]?.id])
    },
  },
  {
    promise: 'an insert that is repeated is known by its id before its key is looked at',
    keep: async (world) => {
      const instance = await world.join()
      const run = world.run({ idempotency: KEY })
      const first = await world.does({ kind: 'insert', run, claimFor: instance })
      const again = await world.does({ kind: 'insert', run, claimFor: instance })
      deepEqual(again, first === 'fenced' ? first : { ...first, disposition: 'existing', claimed: true })
      const [, id] = await told(world, { idempotency: { key: 'another', fingerprint: '' } })
      deepEqual(await told(world, { id }), ['existing', id])
      deepEqual(await told(world, { id: run.id, idempotency: { ...KEY, fingerprint: '' } }), ['existing', run.id])
    },
  },
  {
    promise: 'who is answered with the run of another start was not born with it in hands',
    keep: async (world) => {
      const instance = await world.join()
      await world.insert({ idempotency: KEY }, { claimFor: instance })
      const run = world.run({ idempotency: KEY })
      const answer = await world.does({ kind: 'insert', run, claimFor: instance })
      equal(answer !== 'fenced' && answer.claimed, false)
    },
  },
  {
    promise: 'a key stands for its run for 24 hours, and then for the next one',
    keep: async (world) => {
      const [, first] = await told(world)
      await world.pass(IDEMPOTENCY_FOR - 1)
      deepEqual(await told(world), ['existing', first])
      const before = await world.all(first)
      await world.pass(1)
      const other = { idempotency: { ...KEY, fingerprint: 'of another' } }
      const [disposition, second] = await told(world, other)
      equal(disposition, 'created')
      deepEqual(await told(world, other), ['existing', second])
      deepEqual(await world.all(first), before)
    },
  },
  {
    promise: 'a key outlives the end of its run, and goes with the run itself',
    keep: async (world) => {
      const { claim } = await world.running({ idempotency: KEY })
      await world.settle(claim, succeeded('1'))
      deepEqual(await told(world), ['existing', claim.run])
      await world.control(claim.run, 'remove')
      equal((await told(world))[0], 'created')
    },
  },
  {
    promise: 'an attempt that lost its run learns that before anything of a key',
    keep: async (world) => {
      await told(world)
      const { claim } = await world.running()
      const run = world.run({ idempotency: { ...KEY, fingerprint: '' } })
      equal(await world.does({ kind: 'insert', run, by: { ...claim, attempt: 2 } }), 'fenced')
    },
  },
]

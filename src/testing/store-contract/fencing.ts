import { deepEqual, equal } from 'node:assert/strict'
import type { Claim } from '../../core/claim.ts'
import { canceled, failed, released, retryIn, succeeded } from '../../core/outcome.ts'
import type { Write } from '../../stores/store.ts'
import type { StorePromise } from './promise.ts'
import { boom, sleeping, waitingFor, type World } from './world.ts'

/** Every write that is made for an attempt. */
const writesOf = (claim: Claim, world: World): readonly Write[] => [
  { kind: 'settle', claim, outcome: succeeded('1') },
  { kind: 'settle', claim, outcome: failed('error', boom) },
  { kind: 'settle', claim, outcome: retryIn(0, 'error', boom) },
  { kind: 'settle', claim, outcome: released },
  { kind: 'settle', claim, outcome: canceled(boom) },
  { kind: 'settle', claim, outcome: sleeping(0) },
  { kind: 'settle', claim, outcome: waitingFor('payment') },
  { kind: 'settle', claim, outcome: succeeded('1'), tx: [{ text: 'a statement', values: [] }] },
  { kind: 'record', claim, step: { name: 'late', result: '1' } },
  { kind: 'note', claim, notes: [{ type: 'output', data: '"late"' }] },
  { kind: 'note', claim, notes: [{ type: 'log', data: { at: 1, level: 'info', message: 'late', fields: '{}' } }] },
  { kind: 'insert', run: world.run({ id: LATE, parent: claim.run }), by: claim },
]
const LATE = '01a20591-568e-7910-9286-ffffffffffff'

async function isFenced(world: World, claim: Claim): Promise<void> {
  const before = await world.all(claim.run)
  for (const write of writesOf(claim, world)) {
    const what = write.kind === 'settle' ? write.outcome.kind : write.kind
    equal(await world.does(write), 'fenced', `${what} is fenced`)
    deepEqual(await world.all(claim.run), before, `${what} changes nothing`)
  }
  equal(await world.store.read({ kind: 'find', run: LATE }), undefined, 'no child was inserted')
}

async function takenOver(world: World): Promise<Claim> {
  const { instance, claim } = await world.running()
  await world.rescue([instance])
  const { claimed } = await world.claim(await world.join())
  equal(claimed[0]?.attempt, 2)
  return claim
}

const fenced = (promise: string, lost: (world: World) => Promise<Claim>): StorePromise => ({
  promise,
  keep: async (world) => isFenced(world, await lost(world)),
})

export const fencing: readonly StorePromise[] = [
  fenced('an attempt whose run was claimed anew writes nothing', takenOver),
  fenced('an attempt whose run waits again writes nothing', async (world) => {
    const { claim } = await world.running()
    await world.settle(claim, retryIn(0, 'error', boom))
    return claim
  }),
  fenced('an attempt whose run was taken back writes nothing', async (world) => {
    const { instance, claim } = await world.running()
    await world.rescue([instance])
    return claim
  }),
  fenced('an attempt that gave its run back writes nothing', async (world) => {
    const { claim } = await world.running()
    await world.settle(claim, released)
    return claim
  }),
  fenced('an attempt whose run has ended writes nothing', async (world) => {
    const { claim } = await world.running()
    await world.settle(claim, succeeded('"first"'))
    return claim
  }),
  fenced('an attempt whose instance has left writes nothing', async (world) => {
    const { instance, claim } = await world.running()
    await world.presence(instance, 'leaves')
    return claim
  }),
  fenced('an attempt that was parked writes nothing', async (world) => {
    const { claim } = await world.running()
    await world.settle(claim, sleeping(10))
    return claim
  }),
  fenced('an attempt whose run was started anew by its operator writes nothing', async (world) => {
    const { claim } = await world.running()
    await world.settle(claim, failed('error', boom))
    await world.control(claim.run, 'rerun')
    return claim
  }),
  fenced('an attempt that has not begun writes nothing', async (world) => {
    const { claim } = await world.running()
    return { run: claim.run, attempt: 2 }
  }),
  {
    promise: 'the later attempt is not disturbed by the earlier one',
    keep: async (world) => {
      const claim = await takenOver(world)
      await world.settle(claim, succeeded('"of the first"'))
      const settled = await world.settle({ run: claim.run, attempt: 2 }, succeeded('"of the second"'))
      equal(settled === 'fenced' ? settled : settled.state, 'succeeded')
      equal((await world.find(claim.run)).result, '"of the second"')
    },
  },
  {
    promise: 'a write for an attempt of an unknown run, or one that was removed, is fenced',
    keep: async (world) => {
      const { claim } = await world.running()
      await world.settle(claim, succeeded('1'))
      await world.control(claim.run, 'remove')
      for (const run of [world.id(), claim.run])
        for (const write of writesOf({ run, attempt: 1 }, world)) equal(await world.does(write), 'fenced')
    },
  },
]

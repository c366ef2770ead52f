import { describe, expect, test } from 'vitest'
import { task } from 'offstage'
import type { Ledger } from '../../src/durable/ledger.ts'
import { Reconcile } from '../../src/durable/reconcile.ts'
import type { Store } from '../../src/stores/store.ts'
import { turns } from '../setup/fake-clock.ts'
import { STORES, useFiles } from '../setup/stores.ts'
import { instances } from './instance.ts'

useFiles()

describe.each(STORES)('a claim whose reply was lost, runs kept in %s:', (_, newPlace) => {
  const instance = instances(newPlace)

  test('is given back and performed, as no try', async () => {
    const work = task({ name: 'work', durable: true, run: (_input: void, ctx) => ctx.attempt })
    const starter = instance([work], { worker: false })
    const worker = instance([work], { place: starter.place })
    // The first claims may find nothing yet: the one that finds the run is among these.
    worker.store.fail('claim', 'after', 3)
    const handle = await starter.offstage.start(work)
    await worker.offstage.ready
    expect(await handle.result()).toBeGreaterThan(1)
    expect((await handle.status()).tries).toBe(1)
  })

  test('is given back where it was born claimed, too', async () => {
    const begun: number[] = []
    const work = task({ name: 'work', durable: true, run: (n: number, ctx) => void begun.push(n, ctx.attempt) })
    const one = instance([work])
    await one.offstage.ready
    // The first claim finds that nothing waits; from then on a start may be born claimed.
    await one.offstage.execute(work, 1)
    await turns()
    one.store.fail('insert', 'after')
    await expect(one.offstage.start(work, 2)).rejects.toThrow('reply lost')
    await expect.poll(() => begun, { timeout: 5_000 }).toEqual([1, 1, 2, 2])
  })
})

test('a reply that is lost while the store is asked is a reason to ask again', async () => {
  const questions: (() => void)[] = []
  const store = { read: () => new Promise((answer) => questions.push(() => answer([]))) } as unknown as Store
  const worker = { held: 0, performs: () => false, cancel() {}, wake() {} }
  const reconcile = new Reconcile({ store, worker, ledger: {} as Ledger, instance: () => 'me' })
  reconcile.lostReply()
  const first = reconcile.tick()
  reconcile.lostReply()
  questions[0]?.()
  await first
  void reconcile.tick()
  expect(questions).toHaveLength(2)
})

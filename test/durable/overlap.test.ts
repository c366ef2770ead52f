import { describe, expect, test } from 'vitest'
import { task } from 'offstage'
import { turns } from '../setup/fake-clock.ts'
import { gate } from '../setup/stage.ts'
import { STORES, useFiles } from '../setup/stores.ts'
import { instances } from './instance.ts'

useFiles()

describe.each(STORES)('no two attempts at once, runs kept in %s:', (_, newPlace) => {
  const instance = instances(newPlace)

  test('an attempt that is claimed in the commit that records the one before it is held: cancel reaches it', async () => {
    const second = gate()
    const release = gate()
    const urgent = task({
      name: 'urgent',
      durable: true,
      priority: 10,
      retry: { initial: 0, attempts: 5 },
      run: async (_input: void, ctx) => {
        if (ctx.attempt === 1) throw new Error('at once')
        second.open()
        await new Promise((_resolve, reject) =>
          ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error)),
        )
      },
    })
    const hold = task({ name: 'hold', durable: true, run: () => release.opened })
    const low = task({ name: 'low', durable: true, priority: -1, run: () => null })
    const { offstage } = instance([urgent, hold, low], { worker: { concurrency: 1 } })
    await offstage.ready
    // The one place is taken, and enough waits for it that each end is followed by a claim in its own commit.
    const holding = await offstage.start(hold)
    await offstage.startMany(low, [undefined, undefined, undefined])
    const handle = await offstage.start(urgent)
    release.open()
    await holding.result()
    await second.opened
    await turns(5)
    expect(await handle.cancel()).toBe('canceling')
    await expect(handle.result()).rejects.toThrow('canceled')
    expect((await handle.status()).attempt).toBe(2)
  })

  test('a child that runs while its parent is repeated is not begun again', async () => {
    const begun: number[] = []
    const release = gate()
    const child = task({
      name: 'child',
      durable: true,
      run: async (_input: void, ctx) => (begun.push(ctx.attempt), await release.opened, null),
    })
    const parent = task({
      name: 'parent',
      durable: true,
      retry: { initial: 0 },
      run: async (_input: void, ctx) => {
        const started = await ctx.start(child)
        if (ctx.attempt < 3) throw new Error('again')
        release.open()
        await started.result()
        return started.id
      },
    })
    const { offstage } = instance([parent, child])
    await offstage.ready
    await offstage.execute(parent)
    expect(begun).toEqual([1])
  })
})

import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { memoryStore } from 'offstage/memory'
import { task, type Run } from 'offstage'
import { turns, type FakeClock } from '../setup/fake-clock.ts'
import type { Moment } from '../setup/faulty-store.ts'
import { instances } from './instance.ts'

// The whole of Offstage on a clock that stands still until a test moves it.
const world = vi.hoisted(() => ({ clock: undefined as unknown as FakeClock }))
vi.mock(import('../../src/runtime/world.ts'), async (original) => {
  const { FakeClock: Fake } = await import('../setup/fake-clock.ts')
  world.clock = new Fake()
  return { ...(await original()), realClock: world.clock }
})
const soon = <T>(promise: Promise<T>): Promise<T> => world.clock.until(promise)

const instance = instances(() => {
  const store = memoryStore()
  return () => store
}, soon)

const fate = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constantFrom<Moment>('before', 'after') },
)

test('whichever replies are lost, every run that was acknowledged ends, once, with the right result', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fate, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), async (fates, concurrency) => {
      const done: string[] = []
      const child = task({ name: 'child', durable: true, retry: { attempts: 50 }, run: (n: number) => n * 2 })
      const parent = task({
        name: 'parent',
        durable: true,
        retry: { attempts: 50, initial: '5s' }, // longer than an end is repeated: else it may be claimed before its reply is known
        run: async (n: number, ctx) => {
          const a = await ctx.step('a', () => (done.push(`${ctx.id} a`), n + 1))
          ctx.emit(a)
          const handle = await ctx.start(child, a)
          ctx.progress(0.5)
          if (ctx.attempt === 1 && n % 2 === 0) throw new Error('once')
          const b = await handle.result()
          return ctx.step('b', () => b + 1)
        },
      })
      const one = instance([parent, child], { worker: { concurrency } })
      await soon(one.offstage.ready)
      const left = [...fates]
      one.store.loses = () => left.shift()

      const starts = [0, 1, 2, 3].map(async (n) => {
        await turns(n)
        return { n, handle: await one.offstage.start(parent, n).catch(() => undefined) }
      })
      const started = await soon(Promise.all(starts))
      for (const { n, handle } of started) if (handle) expect(await soon(handle.result())).toBe((n + 1) * 2 + 1)
      // Those whose start was rejected may have been written: then they end as well. No run is stuck.
      for (let passed = 0; passed < 240; passed++) await world.clock.advance(500)
      const ids = new Set(one.store.kinds('insert').flatMap((write) => (write.kind === 'insert' ? [write.run.id] : [])))
      const records: { readonly id: string; readonly record: Run | undefined }[] = []
      for (const id of ids) {
        const record = await one.offstage
          .handle(parent, id)
          .status()
          .catch(() => undefined)
        records.push({ id, record })
        if (record) expect([record.state, record.done]).toEqual(['succeeded', true])
      }
      for (const { handle } of started)
        if (handle) expect(records.find(({ id }) => id === handle.id)?.record).toBeDefined()
      // One child each; every end told once.
      for (const { record } of records.filter(({ record: of }) => of?.task === 'parent'))
        expect(records.filter(({ record: of }) => of?.parent === record?.id)).toHaveLength(1)
      const ends = one.told
        .filter(({ name }) => name === 'run:succeeded')
        .map(({ event }) => (event as { run: Run }).run.id)
      expect(ends.toSorted()).toEqual(records.flatMap(({ id, record }) => (record ? [id] : [])).toSorted())
      expect(one.told.filter(({ name }) => name === 'run:failed')).toEqual([])
      // A step's work is done again only where nobody knows whether it was recorded.
      expect(done.length).toBeLessThanOrEqual(4 + fates.filter(Boolean).length)
      await soon(one.offstage.close())
    }),
    { numRuns: 50 },
  )
})

import { describe, expect, test, vi } from 'vitest'
import { memoryStore } from 'offstage/memory'
import { task, type AnyTask } from 'offstage'
import { turns, type FakeClock } from '../setup/fake-clock.ts'
import { failure, gate } from '../setup/stage.ts'
import { instances } from './instance.ts'

// The whole of Offstage on a clock that stands still until a test moves it.
const world = vi.hoisted(() => ({ clock: undefined as unknown as FakeClock }))
vi.mock(import('../../src/runtime/world.ts'), async (original) => {
  const { FakeClock: Fake } = await import('../setup/fake-clock.ts')
  world.clock = new Fake()
  return { ...(await original()), realClock: world.clock }
})
const { clock } = world
const soon = <T>(promise: Promise<T>): Promise<T> => clock.until(promise)

const instance = instances(() => {
  const store = memoryStore()
  return () => store
}, soon)

/** Ready, and idle: it has asked for what waits, and nothing did. */
const idle = async (tasks: readonly AnyTask[], options: Parameters<typeof instance>[1] = {}) => {
  const one = instance(tasks, options)
  await one.offstage.ready
  await turns()
  return one
}

/** How long it took, by the clock. */
const timed = async <T>(promise: Promise<T>): Promise<{ readonly value: T; readonly took: number }> => {
  const begin = clock.monotonic()
  const took = promise.then(() => clock.monotonic() - begin)
  const value = await soon(promise)
  return { value, took: await took }
}

const begun: string[] = []
const quick = task({
  name: 'quick',
  durable: true,
  run: (_: void, { id, attempt }) => void begun.push(`${id}#${attempt}`),
})
const heeds = task({
  name: 'heeds',
  durable: true,
  run: (_: void, { signal, attempt }) =>
    attempt > 1
      ? Promise.resolve(attempt)
      : new Promise<number>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
})
const deaf = task({
  name: 'deaf',
  durable: true,
  run: (_: void, { attempt }) => (attempt > 1 ? Promise.resolve(attempt) : new Promise<number>(() => {})),
})

describe('close', () => {
  test('waits for the runs under way, and leaves those that wait to others', async () => {
    const held = gate()
    const holds = task({ name: 'holds', durable: true, run: () => held.opened.then(() => 'held') })
    const one = await idle([holds, quick], { worker: { concurrency: 1 } })
    const running = await one.offstage.start(holds)
    const waiting = await one.offstage.start(quick)
    await turns()
    const result = running.result()
    const closing = one.offstage.close()
    await clock.advance(1_000)
    held.open()
    expect(await soon(closing)).toEqual({ abandoned: [] })
    expect(await result).toBe('held')
    const other = await idle([holds, quick], { place: one.place })
    expect(await soon(other.offstage.handle(quick, waiting.id).result())).toBeUndefined()
    expect(begun).toContain(`${waiting.id}#1`)
  })

  test.each([
    ['code that heeds its signal', heeds],
    ['code that heeds nothing', deaf],
  ])(
    'gives back what is left at the grace: %s is named, counts no try, and is begun again by the next instance',
    async (_, kind) => {
      const one = await idle([kind], { shutdown: { signals: false, grace: '3s' } })
      const handle = await one.offstage.start(kind)
      await turns()
      const { value, took } = await timed(one.offstage.close())
      expect(value).toEqual({ abandoned: [{ id: handle.id, task: kind.name, durable: true }] })
      expect(took).toBeLessThanOrEqual(4_000)
      const other = await idle([kind], { place: one.place, worker: false })
      expect(await other.offstage.handle(kind, handle.id).status()).toMatchObject({
        state: 'waiting',
        attempt: 1,
        tries: 0,
        instance: null,
      })
      const next = await idle([kind], { place: one.place })
      expect(await soon(next.offstage.handle(kind, handle.id).result())).toBe(2)
      expect(await next.offstage.handle(kind, handle.id).status()).toMatchObject({ attempt: 2, tries: 1 })
      expect(one.told.map(({ name }) => name)).not.toContain('run:failed')
    },
  )

  test.each([200, 1_000, 5_000])(
    'holds a deadline of %i ms with a store that does not answer any more',
    async (deadline) => {
      const one = await idle([heeds])
      const handle = await one.offstage.start(heeds)
      await turns()
      const hung = one.store.hang()
      const { value, took } = await timed(one.offstage.close({ deadline }))
      expect(value).toEqual({ abandoned: [{ id: handle.id, task: 'heeds', durable: true }] })
      expect(took).toBeLessThanOrEqual(deadline + 5)
      hung.open()
      await turns()
    },
  )

  test('holds its deadline with a store that does not open', async () => {
    const one = instance([quick])
    const hung = one.store.hang()
    one.offstage.ready.catch(() => undefined)
    const { value, took } = await timed(one.offstage.close({ deadline: 1_000 }))
    expect(value).toEqual({ abandoned: [] })
    expect(took).toBeLessThanOrEqual(1_005)
    hung.open()
    await turns()
  })

  test('holds its deadline with a store that rejects everything, and tells of no fence', async () => {
    const one = await idle([heeds])
    await one.offstage.start(heeds)
    await turns()
    for (const kind of ['settle', 'presence', 'claim', 'rescue'] as const) one.store.fail(kind, 'before', 1_000)
    const { took } = await timed(one.offstage.close({ deadline: 1_000 }))
    expect(took).toBeLessThanOrEqual(1_005)
    expect(one.told.map(({ name }) => name)).not.toContain('run:fenced')
  })

  test.each(['before', 'after'] as const)(
    'begins nothing of a claim whose reply is under way (%s the commit): it is given back',
    async (moment) => {
      const one = await idle([quick])
      const starter = await idle([quick], { place: one.place, worker: false })
      const handle = await starter.offstage.start(quick)
      const held = one.store.hold('claim', moment)
      await soon(held.met)
      const closing = one.offstage.close({ deadline: 2_000 })
      await turns()
      held.open()
      expect(await soon(closing)).toEqual({ abandoned: [] })
      await turns()
      expect(begun.filter((claim) => claim.startsWith(handle.id))).toEqual([])
      expect(await handle.status()).toMatchObject({ state: 'waiting', tries: 0, instance: null })
    },
  )

  test.each(['before', 'after'] as const)(
    'begins nothing of a start whose reply is under way (%s the commit): it is answered, and left to others',
    async (moment) => {
      const one = await idle([quick])
      const held = one.store.hold('insert', moment)
      const starting = one.offstage.start(quick)
      await held.met
      const closing = one.offstage.close({ deadline: 2_000 })
      await turns()
      held.open()
      const handle = await soon(starting)
      await soon(closing)
      await turns()
      expect(begun.filter((claim) => claim.startsWith(handle.id))).toEqual([])
      const other = await idle([quick], { place: one.place })
      await soon(other.offstage.handle(quick, handle.id).result())
      expect(begun.filter((claim) => claim.startsWith(handle.id))).toHaveLength(1)
      expect(await other.offstage.handle(quick, handle.id).status()).toMatchObject({ tries: 1 })
    },
  )

  test('ends the waits of those who wait here for a run that goes on elsewhere', async () => {
    const one = await idle([deaf])
    const handle = await one.offstage.start(deaf)
    await turns()
    const result = failure(handle.result())
    const followed = (async () => {
      const types: string[] = []
      for await (const { type } of handle.events()) types.push(type)
      return types
    })()
    await soon(one.offstage.close({ deadline: 500 }))
    expect(await soon(result)).toMatchObject({ code: 'OFFSTAGE_SHUTDOWN' })
    expect(await soon(followed)).not.toContain('done')
  })

  test('twice is once: the store is closed once, both answers are the same', async () => {
    const one = await idle([quick])
    const [first, second] = await soon(Promise.all([one.offstage.close(), one.offstage.close({ deadline: 5 })]))
    expect(first).toEqual(second)
    expect(one.store.closed).toBe(1)
    expect(await one.offstage.close()).toEqual(first)
  })

  test('leaves no timer, no instance behind, and the store closed; what is asked afterwards opens nothing', async () => {
    const before = clock.armed
    const one = await idle([quick])
    const handle = await one.offstage.start(quick)
    await soon(handle.result())
    await soon(one.offstage.close())
    expect(clock.armed).toBe(before)
    expect(await one.place().read({ kind: 'instances' })).toEqual([])
    expect([one.store.opened, one.store.closed]).toEqual([1, 1])
    expect(await failure(one.offstage.start(quick))).toMatchObject({ code: 'OFFSTAGE_SHUTDOWN' })
    const never = instance([quick], { worker: false })
    await turns()
    await soon(never.offstage.close())
    await soon(failure(never.offstage.handle(quick, handle.id).status()))
    expect([never.store.opened, never.store.closed]).toEqual([0, 0])
  })

  test('while it drains, a run that still runs may write: steps, progress and its end are recorded', async () => {
    const held = gate()
    const steps = task({
      name: 'steps',
      durable: true,
      run: async (_: void, ctx) => {
        await held.opened
        ctx.progress(0.5)
        return ctx.step('a', () => 'a')
      },
    })
    const one = await idle([steps])
    const handle = await one.offstage.start(steps)
    await turns()
    const result = handle.result()
    const closing = one.offstage.close()
    await turns()
    held.open()
    expect(await soon(closing)).toEqual({ abandoned: [] })
    expect(await result).toBe('a')
    const [record] = [await one.place().read({ kind: 'find', run: handle.id })]
    expect(record).toMatchObject({ state: 'succeeded', progress: { fraction: 0.5 } })
  })

  test('ends in order, and gives the signals back, whatever the logger throws', async () => {
    const listeners = (): readonly number[] => ['SIGTERM', 'SIGINT'].map((name) => process.listenerCount(name))
    const before = listeners()
    const broken = (): never => {
      throw new Error('of the logger')
    }
    const one = await idle([deaf], {
      shutdown: { signals: true, grace: '1s' },
      logger: { debug: broken, info: broken, warn: broken, error: broken },
    })
    const handle = await one.offstage.start(deaf)
    await turns()
    expect((await soon(one.offstage.close())).abandoned).toMatchObject([{ id: handle.id }])
    expect(listeners()).toEqual(before)
  })
})

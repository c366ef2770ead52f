import { describe, expect, test, vi } from 'vitest'
import { memoryStore } from 'offstage/memory'
import { task } from 'offstage'
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

const slow = task({
  name: 'slow',
  durable: true,
  run: () => new Promise<void>((resolve) => void clock.timer(150, resolve)),
})
const deaf = task({ name: 'deaf', durable: true, run: () => gate().opened })
const heeds = task({
  name: 'heeds',
  durable: true,
  run: (_: void, { signal }) =>
    new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
})
const only = { worker: false } as const

describe('drain, where nothing is performed otherwise,', () => {
  test('goes on until its own end, however soon another one ends', async () => {
    const { offstage } = instance([slow], only)
    await offstage.startMany(
      slow,
      Array.from({ length: 40 }, () => undefined),
    )
    const [short, long] = [offstage.drain({ deadline: 100 }), offstage.drain({ deadline: '5s' })]
    expect(await soon(short)).toMatchObject({ left: true })
    expect(await soon(long)).toMatchObject({ performed: 40, left: false })
    await offstage.start(slow)
    await clock.advance(1_000)
    expect(await offstage.runs.tally()).toMatchObject({ waiting: 1, running: 0, succeeded: 40 })
  })

  test('performs nothing more after its end, also where an earlier one could not ask the store', async () => {
    const { offstage, store } = instance([slow], only)
    await offstage.start(slow)
    store.failReads(100)
    await soon(offstage.drain({ deadline: 100 }).catch(() => undefined))
    store.failReads(0)
    await soon(offstage.drain({ deadline: '5s' }))
    await offstage.start(slow)
    await clock.advance(1_000)
    expect(await offstage.runs.tally()).toMatchObject({ waiting: 1, running: 0 })
  })

  test('ends with the shutdown, and says that something is left', async () => {
    const { offstage, seen } = instance([deaf], only)
    await offstage.start(deaf)
    const draining = offstage.drain({ deadline: '1h' })
    await soon(seen('run:started'))
    const begin = clock.monotonic()
    const closing = offstage.close({ deadline: '10s' })
    await turns()
    expect(await draining).toEqual({ performed: 1, left: true })
    expect(clock.monotonic()).toBe(begin)
    expect((await soon(closing)).abandoned).toHaveLength(1)
  })

  test('heeds a cancel that another instance asks for', async () => {
    const one = instance([heeds], only)
    const other = instance([heeds], { ...only, place: one.place })
    const handle = await one.offstage.start(heeds)
    const draining = one.offstage.drain({ deadline: '1h' })
    await soon(one.seen('run:started'))
    expect(await other.offstage.runs.cancel(handle.id)).toBe('canceling')
    await clock.advance(2_000)
    expect(await handle.status()).toMatchObject({ state: 'canceled' })
    expect(await failure(handle.result())).toMatchObject({ code: 'OFFSTAGE_CANCELED' })
    expect(await draining).toEqual({ performed: 1, left: false })
  })
})

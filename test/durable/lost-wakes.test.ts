import { memoryStore } from 'offstage/memory'
import { task } from 'offstage'
import { expect, test, vi } from 'vitest'
import { turns, type FakeClock } from '../setup/fake-clock.ts'
import { failure, gate } from '../setup/stage.ts'
import { instances } from './instance.ts'

// What the simulator found: sequences after which nobody would have looked again.
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
const quick = task({ name: 'quick', durable: true, run: (n: number) => n + 1 })

test('a run that another instance ended before its start was answered here is not waited for in vain', async () => {
  const one = instance([quick], { worker: { concurrency: 1 } })
  const two = instance([quick], { place: one.place })
  await soon(Promise.all([one.offstage.ready, two.offstage.ready]))
  await turns()
  const held = one.store.hold('insert', 'after')
  const starting = one.offstage.start(quick, 1, { delay: 1 }) // so that it is not born claimed
  await held.met
  await soon(two.seen('run:succeeded'))
  await world.clock.advance(2_000)
  held.open()
  expect(await soon((await soon(starting)).result())).toBe(2)
})

test('a wall clock that was set back and put right again delays what is due by half a minute at most', async () => {
  const begun: number[] = []
  const late = task({ name: 'late', durable: true, run: () => void begun.push(world.clock.monotonic()) })
  const one = instance([late])
  await soon(one.offstage.ready)
  await one.offstage.start(late, undefined, { delay: '1s' })
  world.clock.jump(-3_600_000)
  await world.clock.advance(1_500)
  expect(begun).toEqual([])
  world.clock.jump(3_600_000)
  const from = world.clock.monotonic()
  await world.clock.advance(31_000)
  expect(begun).toHaveLength(1)
  expect(begun[0]! - from).toBeLessThanOrEqual(30_000)
})

test('a claim whose reply is merely late is not given back: its run is performed once', async () => {
  const attempts: number[] = []
  const counts = task({ name: 'counts', durable: true, run: (_: void, { attempt }) => void attempts.push(attempt) })
  const starter = instance([counts], { worker: false })
  const one = instance([counts], { place: starter.place })
  await soon(Promise.all([one.offstage.ready, starter.offstage.ready]))
  await world.clock.advance(1_000)
  const held = one.store.hold('claim', 'after')
  const handle = await starter.offstage.start(counts)
  await held.met
  await world.clock.advance(30_000)
  expect(attempts).toEqual([])
  held.open()
  await soon(handle.result())
  await world.clock.advance(30_000)
  expect(attempts).toEqual([1])
})

test.each([
  ['its deadline had passed', { timeout: '1s' }, async () => {}],
  ['its cancel was not heeded', {}, async (cancel: () => Promise<unknown>) => void (await cancel())],
] as const)(
  'the end of a run that this instance gave up is there for whoever asks later: %s',
  async (_, policy, end) => {
    const deaf = task({ name: 'deaf', durable: true, retry: 1, ...policy, run: () => gate().opened })
    const store = memoryStore()
    store.wakes = () => ({ [Symbol.dispose]() {} }) // as a file: nobody is woken by his own commits
    const one = instance([deaf], { place: () => store })
    await soon(one.offstage.ready)
    const handle = await one.offstage.start(deaf)
    await soon(one.seen('run:started'))
    await end(() => handle.cancel())
    world.clock.skip(11_000) // its own timers come late, as where the event loop was held: the round that looks for such runs is first
    await world.clock.advance(12_000)
    const { state } = await handle.status()
    expect(state).toMatch(/failed|canceled/)
    for (const asked of [handle, one.offstage.handle(deaf, handle.id)])
      expect(await soon(failure(asked.result({ timeout: '1m' })))).toMatchObject({
        code: state === 'failed' ? 'OFFSTAGE_RUN_FAILED' : 'OFFSTAGE_CANCELED',
      })
  },
)

import { describe, expect, test, vi } from 'vitest'
import { memoryStore } from 'offstage/memory'
import { task } from 'offstage'
import type { Ledger } from '../../src/durable/ledger.ts'
import { Pruner } from '../../src/durable/pruner.ts'
import type { AnswerOf, WriteOf } from '../../src/stores/store.ts'
import { FakeClock } from '../setup/fake-clock.ts'
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
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const instance = instances(
  () => {
    const store = memoryStore()
    return () => store
  },
  (promise) => clock.until(promise),
)

const good = task({ name: 'good', durable: true, run: (text: string) => text })
const bad = task({ name: 'bad', durable: true, retry: 1, run: () => Promise.reject(new Error('no')) })
const never = task({ name: 'never', durable: true, timeout: 100 * DAY, run: () => gate().opened })

/** Time passes; its rounds of half a second are stepped through only at its end, as long as two looks of the pruner. */
async function pass(ms: number): Promise<void> {
  clock.skip(Math.max(0, ms - 2 * MINUTE))
  await clock.advance(Math.min(ms, 2 * MINUTE))
}

describe('ended runs are forgotten when they have been kept long enough,', () => {
  test('each state for its own time, and those that wait or are running never', async () => {
    const retention = { succeeded: '1h', failed: '2d', canceled: '3d' } as const
    const { offstage, seen } = instance([good, bad, never], { retention })
    const succeeded = await offstage.start(good, 'x')
    const failed = await offstage.start(bad)
    const canceled = await offstage.start(good, 'x', { delay: '90d' })
    const waiting = await offstage.start(good, 'x', { delay: '90d' })
    const running = await offstage.start(never)
    await clock.until(
      Promise.all([succeeded.result(), failure(failed.result()), canceled.cancel(), seen('run:started')]),
    )
    const kept = async (): Promise<readonly string[]> => (await offstage.runs.list()).runs.map(({ id }) => id)
    const { expiresAt, finishedAt } = await failed.status()
    expect(expiresAt!.getTime() - finishedAt!.getTime()).toBe(2 * DAY)
    const all = [succeeded, failed, canceled, waiting, running].map(({ id }) => id)
    await pass(50 * MINUTE)
    expect(new Set(await kept())).toEqual(new Set(all))
    await pass(12 * MINUTE)
    expect(new Set(await kept())).toEqual(new Set(all.slice(1)))
    await pass(2 * DAY)
    expect(new Set(await kept())).toEqual(new Set(all.slice(2)))
    await pass(DAY)
    expect(new Set(await kept())).toEqual(new Set([waiting.id, running.id]))
    await pass(20 * DAY)
    expect(await offstage.runs.tally()).toMatchObject({ waiting: 1, running: 1, total: 2 })
    expect(await failure(succeeded.status())).toMatchObject({ code: 'OFFSTAGE_RUN_NOT_FOUND' })
  })

  test('by default after a day where they succeeded, and after fourteen otherwise', async () => {
    const { offstage } = instance([good, bad])
    const succeeded = await offstage.start(good, 'x')
    const failed = await offstage.start(bad)
    await clock.until(Promise.all([succeeded.result(), failure(failed.result())]))
    const status = [await succeeded.status(), await failed.status()]
    expect(status.map(({ expiresAt, finishedAt }) => expiresAt!.getTime() - finishedAt!.getTime())).toEqual([
      DAY,
      14 * DAY,
    ])
    await pass(DAY + MINUTE)
    expect(await offstage.runs.tally()).toMatchObject({ succeeded: 0, failed: 1 })
    await pass(13 * DAY)
    expect((await offstage.runs.tally()).total).toBe(0)
  })
})

test('beyond `maxBytes` the oldest ended runs go sooner, and those that wait stay', async () => {
  const { offstage } = instance([good], { retention: { maxBytes: 5_000 } })
  const waiting = await offstage.start(good, 'w'.repeat(2_000), { delay: '1h' })
  const ended = []
  for (let n = 0; n < 5; n++) {
    const handle = await offstage.start(good, 'x'.repeat(1_000))
    await clock.until(handle.result())
    await clock.advance(1)
    ended.push(handle.id)
  }
  await clock.advance(2 * MINUTE)
  const left = (await offstage.runs.list({ state: 'succeeded' })).runs.map(({ id }) => id)
  expect(left.length).toBeLessThan(5)
  expect(new Set(left)).toEqual(new Set(ended.slice(5 - left.length)))
  expect(await waiting.status()).toMatchObject({ state: 'waiting' })
})

test('where nothing is to be forgotten, nothing is asked of the store more than once a minute', async () => {
  const { offstage, store } = instance([good])
  await offstage.ready
  await clock.advance(33_000)
  expect(store.kinds('prune')).toHaveLength(1)
  await clock.advance(10 * MINUTE)
  expect(store.kinds('prune')).toHaveLength(11)
})

describe('a look', () => {
  /** A ledger of `ended` runs that are due to be forgotten. */
  function pruner({
    ended,
    fraction = 0,
    stopped = () => false,
  }: {
    ended: number
    fraction?: number
    stopped?: () => boolean
  }) {
    const time = new FakeClock()
    const removed: number[] = []
    let left = ended
    const add = async ({ limit }: WriteOf<'prune'>): Promise<AnswerOf<'prune'>> => {
      const now = Math.min(limit, left)
      left -= now
      removed.push(now)
      return { removed: now }
    }
    const role = new Pruner({
      ledger: { add } as unknown as Ledger,
      clock: time,
      random: { runId: () => '', instanceId: () => '', fraction: () => fraction },
      retention: { succeeded: 1, failed: 1, canceled: 1, maxBytes: null },
      stopped,
    })
    return { role, time, removed }
  }

  test('goes on at once while it found all that one commit takes', async () => {
    const { role, time, removed } = pruner({ ended: 1_200 })
    time.skip(2_000)
    await role.tick()
    expect(removed).toEqual([500, 500, 200, 0])
    await role.tick()
    expect(removed).toHaveLength(4)
    time.skip(MINUTE)
    await role.tick()
    expect(removed).toEqual([500, 500, 200, 0, 0])
  })

  test('comes first at a moment of its own, some seconds after its start', async () => {
    for (const [fraction, first] of [
      [0, 2_000],
      [0.5, 17_000],
      [0.999, 31_970],
    ] as const) {
      const { role, time, removed } = pruner({ ended: 1, fraction })
      time.skip(first - 1)
      await role.tick()
      expect(removed).toEqual([])
      time.skip(1)
      await role.tick()
      expect(removed).toEqual([1, 0])
    }
  })

  test('leaves the rest to others where its instance is closing', async () => {
    const { role, time, removed } = pruner({ ended: 5_000, stopped: () => removed.length >= 2 })
    time.skip(2_000)
    await role.tick()
    expect(removed).toEqual([500, 500])
  })
})

import { describe, expect, test, vi } from 'vitest'
import { createOffstage, task } from 'offstage'
import { FakeClock, turns } from '../setup/fake-clock.ts'
import { failure, gate, listLogger, type Line } from '../setup/stage.ts'

// The whole of Offstage on a clock that stands still until a test moves it.
const world = vi.hoisted(() => ({ clock: undefined as unknown as FakeClock }))
vi.mock(import('../../src/runtime/world.ts'), async (original) => {
  const { FakeClock: Fake } = await import('../setup/fake-clock.ts')
  world.clock = new Fake()
  return { ...(await original()), realClock: world.clock }
})
const { clock } = world

const open = (options = {}) => {
  const lines: Line[] = []
  return {
    lines,
    offstage: createOffstage({ store: 'memory:', shutdown: { signals: false }, logger: listLogger(lines), ...options }),
  }
}
const heeds = task({
  name: 'heeds',
  run: (_: void, { signal }) =>
    new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
})
const deaf = task({ name: 'deaf', run: () => new Promise<void>(() => {}) })
const quick = task({ name: 'quick', run: () => 1 })

/** What it came to, and the moment; undefined while it has not settled. */
const watched = <T>(promise: Promise<T>) => {
  const state: { value?: T; at?: number } = {}
  void promise.then((value) => Object.assign(state, { value, at: clock.monotonic() }))
  return state
}

describe('close', () => {
  test('waits for what runs and for what stands in line, and then there is nothing to name', async () => {
    const { offstage } = open({ memory: { concurrency: 1 } })
    const held = gate()
    const first = await offstage.start(task({ name: 'first', run: () => held.opened.then(() => 'first') }))
    const second = await offstage.start(quick)
    await turns()
    const closed = watched(offstage.close())
    await clock.advance(1_000)
    expect(closed.value).toBeUndefined()
    held.open()
    await turns()
    expect(closed.value).toEqual({ abandoned: [] })
    expect([await first.result(), await second.result()]).toEqual(['first', 1])
  })

  test('aborts what is left at the grace with a ShutdownError, and names it; code that heeds it ends the wait', async () => {
    const { offstage } = open({ shutdown: { signals: false, grace: '5s' } })
    const handle = await offstage.start(heeds)
    await turns()
    const begun = clock.monotonic()
    const closed = watched(offstage.close())
    await clock.advance(4_999)
    expect(closed.value).toBeUndefined()
    await clock.advance(1_001)
    expect(closed.value).toEqual({ abandoned: [{ id: handle.id, task: 'heeds', durable: false }] })
    expect(closed.at! - begun).toBeLessThanOrEqual(6_000)
    const error = await failure(handle.result())
    expect(error).toMatchObject({ name: 'ShutdownError', code: 'OFFSTAGE_SHUTDOWN' })
    expect(await handle.status()).toMatchObject({ state: 'canceled', done: true })
  })

  test.each([0, 1, 100, 2_000, 60_000])('holds a deadline of %i ms with code that heeds nothing', async (deadline) => {
    const { offstage } = open({ memory: { concurrency: 1 } })
    const running = await offstage.start(deaf)
    const inLine = await offstage.start(deaf)
    await turns()
    const begun = clock.monotonic()
    const closed = watched(offstage.close({ deadline }))
    await clock.advance(deadline + 2) // no timer is shorter than a millisecond, and there are two
    expect(closed.value?.abandoned.map(({ id }) => id).toSorted()).toEqual([running.id, inLine.id].toSorted())
    expect(closed.at! - begun).toBeLessThanOrEqual(deadline + 2)
    expect(await failure(inLine.result())).toMatchObject({ code: 'OFFSTAGE_SHUTDOWN' })
  })

  test('does not wait for what is due after the grace: it is named and canceled at once; what is due before it is performed', async () => {
    const { offstage } = open()
    const soon = await offstage.start(quick, undefined, { delay: '3s' })
    const late = await offstage.start(quick, undefined, { delay: '1h' })
    const far = await offstage.start(quick, undefined, { at: new Date(clock.now() + 1e12) })
    const closed = watched(offstage.close({ deadline: '10s' }))
    await turns()
    expect(await failure(late.result())).toMatchObject({ code: 'OFFSTAGE_SHUTDOWN' })
    await clock.advance(3_000)
    expect(await soon.result()).toBe(1)
    expect(closed.value?.abandoned.map(({ id }) => id).toSorted()).toEqual([late.id, far.id].toSorted())
  })

  test('names what after() was still waiting to begin', async () => {
    const { offstage } = open()
    const never = { writableFinished: false, destroyed: false, once: () => {} }
    const handle = offstage.after(() => {}, { response: never as never, name: 'audit' })
    const closed = watched(offstage.close({ deadline: 1_000 }))
    await clock.advance(1_000)
    expect(closed.value).toEqual({ abandoned: [{ id: handle.id, task: 'audit', durable: false }] })
  })

  test('a run whose next try would come after the grace does not hold it up to the end', async () => {
    const { offstage } = open()
    const held = gate()
    const fails = task({
      name: 'fails',
      retry: { attempts: 2, initial: '1h', jitter: false },
      run: async () => {
        await held.opened
        throw new Error('x')
      },
    })
    const handle = await offstage.start(fails)
    await turns()
    const closed = watched(offstage.close({ deadline: '20s' }))
    await turns()
    held.open()
    await turns()
    expect(closed.value?.abandoned.map(({ id }) => id)).toEqual([handle.id])
  })

  test('twice is once: both answers are the same, and a later one comes at once', async () => {
    const { offstage } = open()
    const handle = await offstage.start(deaf)
    await turns()
    const first = offstage.close({ deadline: 100 })
    const second = offstage.close({ deadline: 60_000 })
    await clock.advance(100)
    expect(await first).toEqual({ abandoned: [{ id: handle.id, task: 'deaf', durable: false }] })
    expect(await second).toEqual(await first)
    expect(await offstage.close()).toEqual(await first)
  })

  test('with nothing under way answers at once, arms no timer and leaves none', async () => {
    const { offstage } = open()
    await offstage.execute(quick)
    const before = clock.armed
    expect(await offstage.close()).toEqual({ abandoned: [] })
    expect(clock.armed).toBe(before)
  })

  test.each([-1, Number.NaN, '5', null])('refuses a deadline of %o', async (deadline) => {
    const { offstage } = open()
    expect(await failure((async () => offstage.close({ deadline: deadline as never }))())).toMatchObject({
      code: 'OFFSTAGE_BAD_OPTION',
    })
    await offstage.close()
  })

  test('using it as a resource closes it', async () => {
    let kept
    {
      await using offstage = open().offstage
      kept = offstage
    }
    expect(await failure(kept.start(quick))).toMatchObject({ code: 'OFFSTAGE_SHUTDOWN' })
  })
})

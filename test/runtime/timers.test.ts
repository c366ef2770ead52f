import { describe, expect, test } from 'vitest'
import { Rounds } from '../../src/runtime/service.ts'
import { pause, timeoutIn, within } from '../../src/runtime/timers.ts'
import { realClock } from '../../src/runtime/world.ts'
import { FakeClock, turns } from '../setup/fake-clock.ts'

const LONGEST = 2 ** 31 - 1

describe('timeoutIn', () => {
  test.each([0, 1, 1_000, LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST, 2 * LONGEST + 1, 36_500 * 86_400_000])(
    'calls once after %i ms, however far that is, and not before',
    async (ms) => {
      const clock = new FakeClock()
      const called: number[] = []
      timeoutIn(clock, ms, () => called.push(clock.monotonic()))
      await clock.advance(Math.max(0, ms - 1))
      expect(called).toEqual([])
      await clock.advance(1)
      expect(called).toEqual([Math.max(1, ms)]) // a platform timer takes a millisecond at least
      await clock.advance(2 * LONGEST)
      expect(called).toHaveLength(1)
      expect(clock.armed).toBe(0)
    },
  )

  test('asks the platform for no more than it takes', () => {
    const asked: number[] = []
    const clock = Object.assign(new FakeClock(), { timer: (ms: number) => (asked.push(ms), { [Symbol.dispose]() {} }) })
    for (const ms of [LONGEST, LONGEST + 1, 8.64e15]) timeoutIn(clock, ms, () => {})
    expect(asked).toEqual([LONGEST, LONGEST, LONGEST])
  })

  test.each([5, LONGEST + 5])('disposed (of %i ms) leaves nothing, at whichever of its steps', async (ms) => {
    for (const passed of [0, 1, LONGEST]) {
      const clock = new FakeClock()
      let calls = 0
      const timer = timeoutIn(clock, ms, () => calls++)
      await clock.advance(Math.min(passed, ms - 1))
      timer[Symbol.dispose]()
      expect(clock.armed).toBe(0)
      await clock.advance(ms)
      expect(calls).toBe(0)
      timer[Symbol.dispose]()
    }
  })

  test('of the real clock leaves nothing that keeps a process alive', () => {
    const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const timer = timeoutIn(realClock, 60_000, () => {})
    expect(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length).toBe(before + 1)
    timer[Symbol.dispose]()
    expect(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length).toBe(before)
  })
})

describe('pause', () => {
  test('ends with its time or with its signal, whichever comes first, and leaves neither timer nor listener', async () => {
    const clock = new FakeClock()
    const controller = new AbortController()
    const ends: string[] = []
    void pause(clock, 100, controller.signal).then(() => ends.push('by time'))
    void pause(clock, 1_000, controller.signal).then(() => ends.push('by signal'))
    await clock.advance(100)
    expect(ends).toEqual(['by time'])
    controller.abort()
    await turns()
    expect(ends).toEqual(['by time', 'by signal'])
    expect(clock.armed).toBe(0)
    await pause(clock, 1_000, controller.signal)
    expect(clock.armed).toBe(0)
  })
})

describe('within', () => {
  test("is the promise's own end where that comes in time, and undefined where it does not; no timer is left", async () => {
    const clock = new FakeClock()
    expect(await within(clock, 100, Promise.resolve('in time'))).toBe('in time')
    await expect(within(clock, 100, Promise.reject(new Error('its own')))).rejects.toThrow('its own')
    expect(clock.armed).toBe(0)
    const late = within(clock, 100, new Promise(() => {}))
    await clock.advance(100)
    expect(await late).toBeUndefined()
    expect(clock.armed).toBe(0)
  })

  test('a rejection that comes too late is nobody’s unhandled one', async () => {
    const clock = new FakeClock()
    const slow = Promise.withResolvers<never>()
    const late = within(clock, 100, slow.promise)
    await clock.advance(100)
    await late
    slow.reject(new Error('too late')) // vitest fails the run where this surfaces
    await turns()
  })
})

describe('rounds', () => {
  test('tick at once and then that long after the end of each tick; one that fails is told and the next one comes', async () => {
    const clock = new FakeClock()
    const ticks: number[] = []
    const failures: unknown[] = []
    const role = {
      tick: async () => {
        ticks.push(clock.monotonic())
        if (ticks.length === 2) throw new Error('second')
        await new Promise((resolve) => clock.timer(30, () => resolve(undefined)))
      },
    }
    let answered = 0
    const health = { failed: (_: object, error: unknown) => failures.push(error), answered: () => answered++ }
    const rounds = new Rounds(role, { clock, every: 100, health })
    await clock.advance(300)
    expect(ticks).toEqual([0, 130, 230])
    expect(failures).toMatchObject([{ message: 'second' }])
    expect(answered).toBe(2)
    await rounds[Symbol.asyncDispose]()
    await clock.advance(1_000)
    expect(ticks).toHaveLength(3)
    expect(clock.armed).toBe(0)
  })

  test('end when the tick under way has ended, not before', async () => {
    const clock = new FakeClock()
    const rounds = new Rounds(
      { tick: () => new Promise((resolve) => clock.timer(500, () => resolve(undefined))) },
      { clock, every: 100, health: { failed() {}, answered() {} } },
    )
    await turns()
    let ended = false
    void rounds[Symbol.asyncDispose]().then(() => (ended = true))
    await clock.advance(499)
    expect(ended).toBe(false)
    await clock.advance(1)
    expect(ended).toBe(true)
  })
})

import { describe, expect, test, vi } from 'vitest'
import { memoryStore } from 'offstage/memory'
import { task, type Run } from 'offstage'
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
const SECOND = 1_000
const HOUR = 3_600 * SECOND
const DAY = 24 * HOUR

const instance = instances(() => {
  const store = memoryStore()
  return () => store
}, soon)

test('by default a run is tried ten times: a second and more between, doubling, jittered to between half and whole', async () => {
  const tries: number[] = []
  const fails = task({
    name: 'fails',
    durable: true,
    run: () => {
      tries.push(clock.now())
      throw new Error('no')
    },
  })
  const { offstage } = instance([fails])
  const handle = await offstage.start(fails)
  const ended = failure(handle.result())
  for (let minute = 0; minute < 20; minute++) await clock.advance(60 * SECOND)
  await ended
  expect(tries).toHaveLength(10)
  for (const [n, at] of tries.entries()) {
    if (n === 0) continue
    const wait = at - tries[n - 1]!
    const whole = SECOND * 2 ** (n - 1)
    expect(wait).toBeGreaterThanOrEqual(whole / 2)
    // … and as late as the run was asked for: the alarm is exact, no round of half a second.
    expect(wait).toBeLessThanOrEqual(whole + 5)
  }
  expect(await handle.status()).toMatchObject({ state: 'failed', tries: 10, maxAttempts: 10 })
})

test.each([
  ['2^31 ms, beyond what a timer takes', 2 ** 31],
  ['30 days', 30 * DAY],
])('a run that is delayed for %s begins not before, and then', async (_, delay) => {
  const begun: number[] = []
  const late = task({ name: 'late', durable: true, run: () => void begun.push(clock.now()) })
  const { offstage } = instance([late], { worker: { concurrency: 1 } })
  await offstage.ready
  const due = clock.now() + delay
  const handle = await offstage.start(late, undefined, { delay })
  expect((await handle.status()).dueAt).toEqual(new Date(due))
  // The rounds of every half second are left out: only the end is stepped through.
  world.clock.skip(delay - SECOND)
  await clock.advance(SECOND - 1)
  expect(begun).toEqual([])
  await clock.advance(1)
  expect(begun).toEqual([due])
})

test('an attempt has an hour by default, and half a second more to heed its signal', async () => {
  const slow = task({ name: 'slow', durable: true, retry: 1, run: () => new Promise<void>(() => {}) })
  const { offstage, seen } = instance([slow])
  const handle = await offstage.start(slow)
  await seen('run:started')
  world.clock.skip(HOUR - SECOND)
  await clock.advance(SECOND + 499)
  expect(await handle.status()).toMatchObject({ state: 'running' })
  await clock.advance(1)
  expect(await handle.status()).toMatchObject({
    state: 'failed',
    reason: 'timeout',
    error: { code: 'OFFSTAGE_TIMEOUT' },
  })
})

test('code that heeds no cancel is given up ten seconds after it, and what it comes to then changes nothing', async () => {
  const held = gate()
  const deaf = task({ name: 'deaf', durable: true, run: () => held.opened.then(() => 'late') })
  const { offstage, seen, told } = instance([deaf])
  const handle = await offstage.start(deaf)
  await seen('run:started')
  expect(await handle.cancel('enough')).toBe('canceling')
  await clock.advance(9_400)
  expect(await handle.status()).toMatchObject({ state: 'running', cancelRequested: true })
  await clock.advance(1_600)
  expect(await handle.status()).toMatchObject({
    state: 'canceled',
    reason: 'canceled',
    error: { message: 'The run was canceled: enough' },
  })
  held.open()
  await clock.advance(2_000)
  expect(await handle.status()).toMatchObject({ state: 'canceled' })
  expect(told.filter(({ name }) => name === 'run:canceled')).toHaveLength(1)
})

test('progress is written at most four times a second: the first at once, then the latest, the last never lost', async () => {
  const held = gate()
  const tells = task({
    name: 'tells',
    durable: true,
    run: async (_: void, ctx) => {
      for (let done = 1; done <= 100; done++) {
        ctx.progress({ done, total: 100 })
        if (done % 10 === 0) await new Promise((resolve) => clock.timer(30, () => resolve(undefined)))
      }
      await held.opened
      ctx.progress({ done: 100, total: 100, message: 'all' })
    },
  })
  const { offstage, store } = instance([tells])
  const handle = await offstage.start(tells)
  await clock.advance(299)
  held.open()
  await clock.advance(1)
  await soon(handle.result())
  const notes = store.kinds('note').flatMap((write) => (write.kind === 'note' ? write.notes : []))
  expect(notes.map(({ data }) => (data as { done: number }).done)).toEqual([1, 90, 100])
  expect((await handle.status()).progress).toEqual({ done: 100, total: 100, fraction: 1, message: 'all' })
})

test('an idle instance asks no more than twice a second, and an idle starter nothing', async () => {
  const quick = task({ name: 'quick', durable: true, run: () => {} })
  const worker = instance([quick])
  const starter = instance([quick], { place: worker.place, worker: false })
  await worker.offstage.ready
  const handle = await starter.offstage.start(quick)
  await soon(handle.result())
  await clock.advance(2 * SECOND)
  const before = [worker.store.batches.length, starter.store.batches.length]
  await clock.advance(60 * SECOND)
  expect(worker.store.batches.length - before[0]!).toBeLessThanOrEqual(121)
  expect(starter.store.batches.length - before[1]!).toBe(0)
})

test('a store that is down is told of once, however often it is asked, and that it answers again is told too', async () => {
  const quick = task({ name: 'quick', durable: true, run: () => {} })
  const { offstage, store, told } = instance([quick])
  await offstage.ready
  await clock.advance(SECOND)
  store.fail('claim', 'before', 20)
  store.failReads(20)
  await clock.advance(30 * SECOND)
  expect(told.map(({ name }) => name)).toEqual(['store:unavailable', 'store:recovered'])
})

test('what a dead instance held is taken back within a second, counted as a try, and begun again', async () => {
  const attempts: number[] = []
  const held = gate()
  const holds = task({
    name: 'holds',
    durable: true,
    run: async (_: void, { attempt }) => {
      attempts.push(attempt)
      if (attempt === 1) await held.opened
      return attempt
    },
  })
  const gone = new Set<string>()
  const lively = memoryStore({
    clock,
    liveness: {
      begin: (id) => ({ id, pid: 1, boot: '', began: '', pidNamespace: '' }),
      dead: (instances) => instances.map(({ id }) => id).filter((id) => gone.has(id)),
      beat: () => {},
      end: () => {},
    },
  })
  const one = instance([holds], { place: () => lively })
  const handle = await one.offstage.start(holds)
  await one.seen('run:started')
  const [first] = await lively.read({ kind: 'instances' })
  // As after kill -9: it neither writes nor asks any more.
  const hung = one.store.hang()
  gone.add(first!.id)
  const two = instance([holds], { place: () => lively })
  await two.offstage.ready
  await clock.advance(SECOND)
  expect(await soon(two.offstage.handle(holds, handle.id).result())).toBe(2)
  expect(attempts).toEqual([1, 2])
  expect(
    two.told.map(({ name, event }) => [
      name,
      (event as { instance?: string; run?: Partial<Run> }).instance ?? (event as { run: Run }).run.id,
    ]),
  ).toEqual([
    ['instance:dead', first!.id],
    ['run:rescued', handle.id],
    ['run:started', handle.id],
    ['run:succeeded', handle.id],
  ])
  expect(await two.offstage.handle(holds, handle.id).status()).toMatchObject({ attempt: 2, tries: 2 })
  // The dead one comes to life again: what it did in the meantime is refused.
  hung.open()
  held.open()
  await soon(one.seen('run:fenced'))
  expect(await two.offstage.handle(holds, handle.id).status()).toMatchObject({ state: 'succeeded', result: 2 })
})

describe('waiting for a result', () => {
  const waits = task({ name: 'waits', durable: true, run: () => 'ended' })

  test('ends after its timeout, or with its signal, and leaves the run alone', async () => {
    const { offstage } = instance([waits])
    const handle = await offstage.start(waits, undefined, { delay: '1m' })
    const late = failure(handle.result({ timeout: '2s' }))
    await clock.advance(2 * SECOND)
    expect(await late).toMatchObject({ name: 'TimeoutError', code: 'OFFSTAGE_TIMEOUT' })
    const controller = new AbortController()
    const aborted = failure(handle.result({ signal: controller.signal }))
    await turns()
    controller.abort(new Error('left'))
    expect(await aborted).toMatchObject({ message: 'left' })
    await clock.advance(58 * SECOND)
    expect(await handle.result({ timeout: 0 })).toBe('ended')
  })

  test('of a run that was canceled while it waited ends at once', async () => {
    const { offstage } = instance([waits])
    const handle = await offstage.start(waits, undefined, { delay: '1m' })
    const result = failure(handle.result())
    await handle.cancel()
    const before = clock.monotonic()
    expect(await soon(result)).toMatchObject({ code: 'OFFSTAGE_CANCELED' })
    expect(clock.monotonic() - before).toBe(0)
  })
})

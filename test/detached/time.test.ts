import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createOffstage, task, type Offstage, type OffstageOptions } from 'offstage'
import { FakeClock, turns } from '../setup/fake-clock.ts'
import { failure, gate, listLogger } from '../setup/stage.ts'

// The whole of Offstage on a clock that stands still until a test moves it.
const world = vi.hoisted(() => ({ clock: undefined as unknown as FakeClock }))
vi.mock(import('../../src/runtime/world.ts'), async (original) => {
  const { FakeClock: Fake } = await import('../setup/fake-clock.ts')
  world.clock = new Fake()
  return { ...(await original()), realClock: world.clock }
})
const { clock } = world
const DAY = 86_400_000

function open(options: OffstageOptions = {}): Offstage {
  const offstage = createOffstage({
    store: 'memory:',
    shutdown: { signals: false },
    logger: listLogger([]),
    ...options,
  })
  onTestFinished(async () => {
    const closed = offstage.close({ deadline: 0 })
    await clock.advance(10)
    await closed
  })
  return offstage
}

describe('a delayed run', () => {
  test.each([
    ['1 ms', 1],
    ['a second', 1_000],
    ['one less than a timer takes', 2 ** 31 - 2],
    ['2^31 ms, beyond what a timer takes', 2 ** 31],
    ['30 days', 30 * DAY],
    ['100 years', 36_500 * DAY],
  ])('of %s begins not before, and then', async (_, delay) => {
    const offstage = open()
    const begun: number[] = []
    const due = clock.now() + delay
    const late = task({ name: 'late', run: () => void begun.push(clock.now()) })
    const handle = await offstage.start(late, undefined, { delay })
    expect(await handle.status()).toMatchObject({ state: 'waiting', dueAt: new Date(due) })
    await clock.advance(delay - 1)
    expect(begun).toEqual([])
    await clock.advance(1)
    expect(begun).toEqual([due])
    await handle.result()
  })

  test('the furthest that is taken has a due date that is a date', async () => {
    const offstage = open()
    const late = task({ name: 'late', run: () => {} })
    for (const delay of [8.64e15, '100000000d'] as const) {
      const outcome = await offstage.start(late, undefined, { delay }).catch((error: unknown) => error)
      if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
      else expect((await (outcome as { status(): Promise<{ dueAt: Date }> }).status()).dueAt.getTime()).not.toBeNaN()
    }
  })

  test('is told by a text or a moment, not by both; the past is now', async () => {
    const offstage = open()
    const begun: string[] = []
    const named = task({ name: 'named', run: (name: string) => void begun.push(name) })
    await offstage.start(named, 'in 2 s', { delay: '2s' })
    await offstage.start(named, 'at 1 s', { at: new Date(clock.now() + 1_000) })
    await expect(offstage.start(named, 'both', { at: new Date(clock.now()), delay: '1ms' })).rejects.toThrow('not both')
    await offstage.start(named, 'past', { at: new Date(0) })
    await turns()
    expect(begun).toEqual(['past'])
    await clock.advance(1_000)
    expect(begun).toEqual(['past', 'at 1 s'])
    await clock.advance(1_000)
    expect(begun).toEqual(['past', 'at 1 s', 'in 2 s'])
  })

  test('takes its place in line when it is due, not before', async () => {
    const offstage = open({ memory: { concurrency: 1 } })
    const order: string[] = []
    const held = gate()
    const named = task({ name: 'named', run: (name: string) => void order.push(name) })
    const blocks = task({ name: 'blocks', run: () => held.opened })
    await offstage.start(blocks)
    await offstage.start(named, 'delayed', { delay: 10 })
    await turns()
    await offstage.start(named, 'at once')
    await clock.advance(10)
    await offstage.start(named, 'last')
    held.open()
    await turns()
    expect(order).toEqual(['at once', 'delayed', 'last'])
  })

  test('leaves no timer behind when it is canceled', async () => {
    const offstage = open()
    const before = clock.armed
    const handle = await offstage.start(task({ name: 'late', run: () => {} }), undefined, { delay: '30d' })
    expect(clock.armed).toBe(before + 1)
    await handle.cancel()
    expect(clock.armed).toBe(before)
  })
})

test('a retry comes after its backoff, doubling, and its moment can be read', async () => {
  const offstage = open()
  const tries: number[] = []
  const begin = clock.now()
  const flaky = task({
    name: 'flaky',
    retry: { attempts: 5, initial: '1s', max: '3s', jitter: false },
    run: () => {
      tries.push(clock.now() - begin)
      throw new Error('again')
    },
  })
  const handle = await offstage.start(flaky)
  await turns()
  expect(await handle.status()).toMatchObject({
    state: 'waiting',
    attempt: 1,
    tries: 1,
    dueAt: new Date(begin + 1_000),
    error: { message: 'again' },
  })
  await clock.advance(20_000)
  await failure(handle.result())
  expect(tries).toEqual([0, 1_000, 3_000, 6_000, 9_000])
})

test('a timer of an attempt that ended in time is not left behind', async () => {
  const offstage = open()
  const before = clock.armed
  await offstage.execute(task({ name: 'quick', timeout: '1h', run: (_: void, ctx) => void ctx.signal }))
  expect(clock.armed).toBe(before)
})

describe('code that does not heed its signal', () => {
  const deaf = (timeout?: number) =>
    task({ name: 'deaf', ...(timeout === undefined ? {} : { timeout }), run: () => new Promise<void>(() => {}) })

  test('is given up half a second after its timeout', async () => {
    const handle = await open().start(deaf(1_000))
    await clock.advance(1_499)
    expect(await handle.status()).toMatchObject({ state: 'running' })
    await clock.advance(1)
    expect(await handle.status()).toMatchObject({ state: 'failed', reason: 'timeout' })
  })

  test('tells nothing in the name of the attempt that follows', async () => {
    const first = gate()
    const second = gate()
    const stale = task({
      name: 'stale',
      timeout: 1_000,
      retry: { attempts: 2, initial: 0 },
      run: async (_input: void, ctx) => {
        if (ctx.attempt === 2) return second.opened
        await first.opened
        ctx.progress(0.9)
        ctx.emit('of the first')
      },
    })
    const handle = await open().start(stale)
    await clock.advance(1_500)
    expect(await handle.status()).toMatchObject({ state: 'running', attempt: 2 })
    first.open()
    await turns()
    second.open()
    const told: unknown[] = []
    for await (const { type } of handle.events({ after: 0 })) told.push(type)
    expect(told).toEqual(['run', 'done'])
    expect((await handle.status()).progress).toBeNull()
  })

  test('is given up ten seconds after its cancel: until then it is running', async () => {
    const handle = await open().start(deaf())
    await turns()
    expect(await handle.cancel()).toBe('canceling')
    await clock.advance(9_999)
    expect(await handle.status()).toMatchObject({ state: 'running', cancelRequested: true })
    await clock.advance(1)
    expect(await handle.status()).toMatchObject({ state: 'canceled' })
  })
})

describe('progress', () => {
  test('is kept at most four times a second: the first at once, then the latest, and the last is never lost', async () => {
    const offstage = open()
    const held = gate()
    const tells = task({
      name: 'tells',
      run: async (_: void, ctx) => {
        for (let done = 1; done <= 100; done++) {
          ctx.progress({ done, total: 100 })
          if (done % 10 === 0) await new Promise((resolve) => clock.timer(30, () => resolve(undefined)))
        }
        await held.opened
        ctx.progress({ done: 100, total: 100, message: 'all' })
      },
    })
    const handle = await offstage.start(tells)
    const seen: { at: number; done: number | undefined }[] = []
    const begin = clock.now()
    const followed = (async () => {
      for await (const event of handle.events())
        if (event.type === 'progress') seen.push({ at: clock.now() - begin, done: event.data.done })
      return true
    })()
    await clock.advance(299)
    expect(seen).toEqual([
      { at: 0, done: 1 },
      { at: 250, done: 90 },
    ])
    held.open()
    await clock.advance(1)
    expect(await followed).toBe(true)
    expect(seen.at(-1)).toEqual({ at: 300, done: 100 })
    expect(await handle.status()).toMatchObject({ progress: { done: 100, total: 100, fraction: 1, message: 'all' } })
  })

  test('is a fraction between 0 and 1, and nonsense is refused where it is said', async () => {
    const offstage = open()
    const fractions = task({
      name: 'fractions',
      run: (p: unknown, ctx) => ctx.progress(p as number),
    })
    for (const [told, kept] of [
      [0.5, { fraction: 0.5 }],
      [1.0000001, { fraction: 1 }],
      [-3, { fraction: 0 }],
      [Number.POSITIVE_INFINITY, { fraction: 1 }],
      [{ done: 3 }, { done: 3 }],
      [
        { done: 3, total: 4 },
        { done: 3, total: 4, fraction: 0.75 },
      ],
      [
        { done: 5, total: 4 },
        { done: 5, total: 4, fraction: 1 },
      ],
      [
        { done: 0, total: 0 },
        { done: 0, total: 0, fraction: 1 },
      ],
    ] as const) {
      const handle = await offstage.start(fractions, told)
      await handle.result()
      expect((await handle.status()).progress).toEqual(kept)
    }
    for (const told of [
      Number.NaN,
      'half',
      null,
      undefined,
      {},
      { done: '1' },
      { done: Number.NaN },
      { done: 1, total: -1 },
      { done: 1, total: Number.POSITIVE_INFINITY },
    ])
      expect((await failure(offstage.execute(fractions, told))).cause).toMatchObject({
        code: 'OFFSTAGE_BAD_OPTION',
        message: expect.stringContaining('ctx.progress') as string,
      })
  })
})

describe('an ended run is remembered', () => {
  test('for ten minutes, and then no more', async () => {
    const offstage = open()
    const handle = await offstage.start(task({ name: 'quick', run: () => 1 }))
    expect(await handle.result()).toBe(1)
    await clock.advance(599_999)
    expect(await handle.status()).toMatchObject({ state: 'succeeded', expiresAt: new Date(clock.now() + 1) })
    await clock.advance(1)
    for (const gone of [handle.status(), handle.result(), handle.cancel()])
      expect(await failure(gone)).toMatchObject({
        code: 'OFFSTAGE_RUN_NOT_FOUND',
        message: expect.stringContaining(handle.id) as string,
      })
    for await (const _ of handle.events()) expect.unreachable()
  })

  test('while fewer than a thousand ended after it; what has not ended is never forgotten', async () => {
    const offstage = open()
    const quick = task({ name: 'quick', run: () => 1 })
    const waits = await offstage.start(quick, undefined, { delay: '1d' })
    const first = await offstage.start(quick)
    await first.result()
    const more = await offstage.startMany(
      quick,
      Array.from({ length: 999 }, () => undefined),
    )
    await Promise.all(more.map((handle) => handle.result()))
    expect(await first.status()).toMatchObject({ state: 'succeeded' })
    const last = await offstage.start(quick)
    await last.result()
    expect(await failure(first.status())).toMatchObject({ code: 'OFFSTAGE_RUN_NOT_FOUND' })
    expect(await more[0]?.status()).toMatchObject({ state: 'succeeded' })
    expect(await waits.status()).toMatchObject({ state: 'waiting' })
  })
})

describe('the events of a run in memory', () => {
  test('are numbered, and a reader resumes after any of them without a gap', async () => {
    const offstage = open()
    const tells = task({
      name: 'tells',
      run: async (_: void, ctx) => {
        for (let n = 1; n <= 5; n++) {
          ctx.emit(n)
          await Promise.resolve()
        }
        ctx.progress(1)
      },
    })
    const handle = await offstage.start(tells)
    await handle.result()
    const read = async (after?: number) => {
      const events = []
      for await (const event of handle.events(after === undefined ? {} : { after })) events.push(event)
      return events
    }
    const all = await read(0)
    const stored = all.filter(({ type }) => type === 'output' || type === 'progress')
    expect(stored.map(({ type, data }) => (type === 'output' ? data : type))).toEqual([1, 2, 3, 4, 5, 'progress'])
    expect(all.at(-1)).toMatchObject({ type: 'done', data: { state: 'succeeded' } })
    for (const { number } of stored) {
      const rest = await read(number)
      expect(rest.filter(({ type }) => type === 'output' || type === 'progress')).toEqual(
        stored.filter((event) => event.number > number),
      )
    }
    // Who names no number gets every output, since a stream of output is useless from its middle.
    expect((await read()).filter(({ type }) => type === 'output')).toHaveLength(5)
  })

  test('are kept a thousand at most; who missed some is told so', async () => {
    const offstage = open()
    const chatty = task({
      name: 'chatty',
      run: (_: void, ctx) => {
        for (let n = 1; n <= 1_500; n++) ctx.emit(n)
      },
    })
    const handle = await offstage.start(chatty)
    await handle.result()
    const events = []
    for await (const event of handle.events({ after: 1 })) events.push(event)
    const reset = events.find(({ type }) => type === 'reset')
    const outputs = events.filter(({ type }) => type === 'output')
    expect(outputs.map(({ data }) => data)).toEqual(Array.from({ length: 1_000 }, (_, n) => n + 501))
    expect(reset).toMatchObject({ data: { after: outputs[0]!.number - 1 } })
    const numbers = events.map(({ number }) => number)
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  })
})

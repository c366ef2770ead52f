import { describe, expect, test, vi } from 'vitest'
import { memoryStore } from 'offstage/memory'
import { task, type AnyTask, type Run } from 'offstage'
import type { Settled } from '../../src/stores/store.ts'
import { turns, type FakeClock } from '../setup/fake-clock.ts'
import { failure, gate } from '../setup/stage.ts'
import { instances, isSettled } from './instance.ts'

// The whole of Offstage on a clock that stands still until a test moves it.
const world = vi.hoisted(() => ({ clock: undefined as unknown as FakeClock }))
vi.mock(import('../../src/runtime/world.ts'), async (original) => {
  const { FakeClock: Fake } = await import('../setup/fake-clock.ts')
  world.clock = new Fake()
  return { ...(await original()), realClock: world.clock }
})
/** Lets time pass until it is there. */
const soon = <T>(promise: Promise<T>): Promise<T> => world.clock.until(promise)

const instance = instances(() => {
  const store = memoryStore()
  return () => store
}, soon)
const opened = async (tasks: readonly AnyTask[], options: Parameters<typeof instance>[1] = {}) => {
  const one = instance(tasks, options)
  await soon(one.offstage.ready)
  return one
}

const quick = task({ name: 'quick', durable: true, run: (n: number) => n + 1 })
const fails = task({ name: 'fails', durable: true, retry: 1, run: () => Promise.reject(new Error('no good')) })
const again = task({
  name: 'again',
  durable: true,
  retry: { attempts: 3, initial: '1s' }, // longer than until the lost end is told
  run: (_: void, { attempt }) => {
    if (attempt === 1) throw new Error('once')
    return attempt
  },
})

describe.each(['before', 'after'] as const)('a reply that is lost %s the commit', (moment) => {
  test('of a start rejects it: nobody knows whether it was written; the next start is answered', async () => {
    const { offstage, store } = await opened([quick], { worker: false })
    store.fail('insert', moment)
    expect(await soon(failure(offstage.start(quick, 1)))).toMatchObject({ message: `reply lost ${moment} the commit` })
    await offstage.start(quick, 1)
  })

  test('of an end is asked for again, until there is an answer: the run ends done, its end told and logged once', async () => {
    const { offstage, store, told, lines } = await opened([quick, fails])
    for (const kind of [quick, fails]) {
      store.fail('settle', moment, 3)
      const handle = await offstage.start(kind as typeof quick, 1)
      const end = await soon(handle.result().catch((error: unknown) => error))
      if (kind === quick) expect(end).toBe(2)
      else expect(end).toMatchObject({ code: 'OFFSTAGE_RUN_FAILED', cause: { message: 'no good' } })
      expect(await handle.status()).toMatchObject({
        state: kind === quick ? 'succeeded' : 'failed',
        done: true,
        attempt: 1,
      })
    }
    await turns()
    expect(told.map(({ name }) => name).filter((name) => name.startsWith('run:'))).toEqual([
      'run:started',
      'run:succeeded',
      'run:started',
      'run:failed',
    ])
    expect(lines.filter(({ message }) => message === 'The task "fails" failed.')).toHaveLength(1)
  })

  test('of an end that is to be tried again leads to that try, told as what it is', async () => {
    const { offstage, store, told } = await opened([again])
    store.fail('settle', moment)
    expect(await soon(offstage.execute(again))).toBe(2)
    await turns()
    expect(told.map(({ name }) => name).filter((name) => name.startsWith('run:'))).toEqual([
      'run:started',
      'run:retried',
      'run:started',
      'run:succeeded',
    ])
  })

  test("of a step's record is asked for again: the step is done once, and the run goes on", async () => {
    let done = 0
    const steps = task({ name: 'steps', durable: true, retry: 1, run: (_: void, ctx) => ctx.step('a', () => ++done) })
    const { offstage, store } = await opened([steps])
    store.fail('record', moment, 2)
    expect(await soon(offstage.execute(steps))).toBe(1)
    expect(store.kinds('record')).toHaveLength(3)
  })

  test('of a child makes that attempt fail; the next one finds the child or starts it, once', async () => {
    const parent = task({
      name: 'parent',
      durable: true,
      retry: { attempts: 3, initial: '1s' }, // longer than until the lost end is told
      run: async (_: void, ctx) => (await ctx.start(quick, 1)).result(),
    })
    const { offstage, store, told } = await opened([parent, quick], { worker: { concurrency: 2 } })
    const handle = await offstage.start(parent)
    store.fail('insert', moment) // the child's, in whose batch its id is remembered
    expect(await soon(handle.result())).toBe(2)
    expect(await handle.status()).toMatchObject({ attempt: 2 })
    const begun = told.filter(({ name }) => name === 'run:started').map(({ event }) => (event as { run: Run }).run.task)
    expect(begun).toEqual(['parent', 'parent', 'quick'])
    // What the first attempt left to be repeated is no loss of the run: it had recorded its own end.
    await world.clock.advance(5_000)
    expect(told.map(({ name }) => name)).not.toContain('run:fenced')
  })

  test('of a claim is told, and the store is asked again', async () => {
    const starter = instance([quick], { worker: false })
    const { offstage, store, seen, told } = await opened([quick], { place: starter.place })
    await turns()
    store.fail('claim', moment)
    const others = await starter.offstage.start(quick, 0)
    await soon(seen('store:unavailable'))
    const handle = await offstage.start(quick, 1)
    expect(await soon(handle.result())).toBe(2)
    expect(await soon(others.result())).toBe(1)
    await soon(seen('store:recovered'))
    expect(told.filter(({ name }) => name === 'store:unavailable')).toHaveLength(1)
  })

  test('of a cancel rejects it; asked again, it is answered by what is true', async () => {
    const { offstage, store } = await opened([quick])
    const handle = await offstage.start(quick, 1, { delay: '1h' })
    store.fail('control', moment)
    expect(await soon(failure(handle.cancel()))).toMatchObject({ message: `reply lost ${moment} the commit` })
    expect(await handle.cancel()).toBe('canceled')
    expect(await soon(failure(handle.result()))).toMatchObject({ code: 'OFFSTAGE_CANCELED' })
  })

  test('of what was told on the way disturbs neither the run nor its end; no output is told twice', async () => {
    const tells = task({
      name: 'tells',
      durable: true,
      run: async (_: void, ctx) => {
        ctx.emit(1)
        await ctx.step('a', () => 1)
        ctx.emit(2)
        await ctx.step('b', () => 1)
        return 'done'
      },
    })
    const { offstage, store } = await opened([tells])
    store.fail('note', moment)
    const handle = await offstage.start(tells)
    expect(await soon(handle.result())).toBe('done')
    const outputs: unknown[] = []
    for await (const event of handle.events({ after: 0 })) if (event.type === 'output') outputs.push(event.data)
    expect(outputs).toEqual([...new Set(outputs)])
    expect(outputs).toContain(2)
  })

  test("of the instance's own beginning makes `ready` reject, and the next start opens the store again", async () => {
    const one = instance([quick])
    one.store.fail('presence', moment)
    expect(await soon(failure(one.offstage.ready))).toMatchObject({ message: `reply lost ${moment} the commit` })
    expect(one.store.closed).toBe(1)
    expect(await soon(one.offstage.execute(quick, 1))).toBe(2)
    expect(one.store.opened).toBe(2)
  })
})

describe('a run whose claim was committed and its reply lost is found, given back and performed, as no try:', () => {
  test('one that waited', async () => {
    const starter = instance([quick], { worker: false })
    const { store, told } = await opened([quick], { place: starter.place })
    await turns()
    const handle = await starter.offstage.start(quick, 1)
    store.fail('claim', 'after') // the next is the one that finds it
    expect(await soon(handle.result())).toBe(2)
    expect(await handle.status()).toMatchObject({ state: 'succeeded', attempt: 2, tries: 1 })
    expect(told.filter(({ name }) => name === 'run:started')).toHaveLength(1)
  })

  test('one that was born claimed; its start was rejected, and it is performed once all the same', async () => {
    let times = 0
    const counts = task({ name: 'counts', durable: true, run: () => ++times })
    const { offstage, store } = await opened([counts])
    await soon(offstage.execute(counts))
    store.fail('insert', 'after')
    await failure(offstage.start(counts))
    const [, write] = store.kinds('insert')
    const { id } = (write as { run: { id: string } }).run
    expect(await soon(offstage.handle(counts, id).result())).toBe(2)
    expect(await offstage.handle(counts, id).status()).toMatchObject({ attempt: 2, tries: 1 })
  })
})

describe('a store that refuses', () => {
  const refused = () => ({ refused: 'OFFSTAGE_STORE_FULL' as const, message: 'no room' })

  test('a start makes it reject with that error, its neighbours are answered', async () => {
    const { offstage, store } = await opened([quick], { worker: false })
    let first = true
    store.answer('insert', (answer) => {
      if (!first) return answer
      first = false
      return refused()
    })
    const [one, two] = await Promise.allSettled([offstage.start(quick, 1), offstage.start(quick, 2)])
    expect(one).toMatchObject({ status: 'rejected', reason: { code: 'OFFSTAGE_STORE_FULL', message: 'no room' } })
    expect(two.status).toBe('fulfilled')
  })

  test('an end makes the run fail for that reason', async () => {
    const { offstage, store, seen, lines } = await opened([quick])
    store.replace('settle', refused)
    const handle = await offstage.start(quick, 1)
    expect(await soon(failure(handle.result()))).toMatchObject({
      code: 'OFFSTAGE_RUN_FAILED',
      cause: { code: 'OFFSTAGE_STORE_FULL' },
    })
    expect(await soon(seen('run:failed'))).toMatchObject({
      error: { code: 'OFFSTAGE_STORE_FULL' },
      run: { state: 'failed', error: { code: 'OFFSTAGE_STORE_FULL' } },
    })
    expect(lines).toHaveLength(1)
    expect(await handle.status()).toMatchObject({ state: 'failed', error: { code: 'OFFSTAGE_STORE_FULL' } })
  })

  test('an end, and the failure that stands for it, takes nothing down; other runs go on', async () => {
    const { offstage, store, seen } = await opened([quick])
    store.replace('settle', refused, 2)
    await offstage.start(quick, 1)
    await soon(seen('store:unavailable'))
    expect(await soon(offstage.execute(quick, 2))).toBe(3)
  })

  test('a step makes the step fail', async () => {
    const steps = task({ name: 'steps', durable: true, retry: 1, run: (_: void, ctx) => ctx.step('a', () => 1) })
    const { offstage, store } = await opened([steps])
    store.replace('record', refused)
    expect((await soon(failure(offstage.execute(steps)))).cause).toMatchObject({ code: 'OFFSTAGE_STORE_FULL' })
  })

  test('a claim is told, and asked again', async () => {
    const starter = instance([quick], { worker: false })
    const { offstage, store, seen } = await opened([quick], { place: starter.place })
    await turns()
    store.replace('claim', refused)
    await starter.offstage.start(quick, 0)
    await soon(seen('store:unavailable'))
    expect(await soon(offstage.execute(quick, 1))).toBe(2)
  })
})

test('a stored input that is no JSON fails its run alone, and the rest goes on', async () => {
  const starter = instance([quick], { worker: false })
  const handle = await starter.offstage.start(quick, 1)
  const one = instance([quick], { place: starter.place })
  one.store.answer('claim', (answer) => {
    const { claimed, ...rest } = answer as { claimed: readonly object[] }
    return { ...rest, claimed: claimed.map((run) => ({ ...run, input: '{"cut' })) } as never
  })
  expect(await soon(failure(handle.result()))).toMatchObject({
    code: 'OFFSTAGE_RUN_FAILED',
    cause: { code: 'OFFSTAGE_STORE_CORRUPT' },
  })
  expect(await soon(one.offstage.execute(quick, 1))).toBe(2)
})

describe('an attempt that lost its run', () => {
  /** Another instance took this one for dead: its runs are taken back. */
  const declareDead = async ({ store }: ReturnType<typeof instance>): Promise<void> => {
    const [me] = await store.read({ kind: 'instances' })
    await store.write([{ kind: 'rescue', dead: [me!.id], limit: 10 }])
  }

  test('is told so by its signal at once when this instance learns it; what it still writes changes nothing', async () => {
    const stopped = Promise.withResolvers<unknown>()
    const late = gate()
    const over = gate()
    const codes: unknown[] = []
    const lost = task({
      name: 'lost',
      durable: true,
      run: async (_: void, ctx) => {
        if (ctx.attempt === 2) return 'of the second'
        ctx.signal.addEventListener('abort', () => stopped.resolve(ctx.signal.reason))
        await late.opened
        ctx.emit('late')
        ctx.progress(0.9)
        codes.push((await failure(ctx.step('late', () => 1))).code, (await failure(ctx.start(quick, 1))).code)
        over.open()
        return 'of the first'
      },
    })
    const one = await opened([lost, quick])
    const handle = await one.offstage.start(lost)
    await soon(one.seen('run:started'))
    await declareDead(one)
    expect(await soon(stopped.promise)).toMatchObject({
      name: 'FencedError',
      code: 'OFFSTAGE_FENCED',
      message: expect.stringContaining(`${handle.id}#1`) as string,
    })
    expect(await soon(handle.result())).toBe('of the second')
    const ended = await handle.status()
    expect(ended).toMatchObject({ state: 'succeeded', attempt: 2, tries: 2, result: 'of the second', progress: null })
    late.open()
    await over.opened
    await turns()
    expect(codes).toEqual(['OFFSTAGE_FENCED', 'OFFSTAGE_FENCED'])
    expect(await handle.status()).toEqual(ended)
    for await (const event of handle.events({ after: 0 })) expect(event.type).not.toBe('output')
    expect(
      one.told.some(({ name, event }) => name === 'run:started' && (event as { run: Run }).run.task === 'quick'),
    ).toBe(false)
  })

  test('learns it from a step at the latest: the step rejects, the signal fires, and the loss is told once', async () => {
    const held = gate()
    const reasons: unknown[] = []
    const lost = task({
      name: 'lost',
      durable: true,
      run: async (_: void, ctx) => {
        if (ctx.attempt === 2) return 'of the second'
        await held.opened
        const error = await failure(ctx.step('a', () => 1))
        reasons.push(error.code, (ctx.signal.reason as { code: string }).code)
        throw error
      },
    })
    const one = await opened([lost])
    const handle = await one.offstage.start(lost)
    await soon(one.seen('run:started'))
    // Nothing is asked of the store between the two: only the step can tell.
    await declareDead(one)
    held.open()
    expect(await soon(handle.result())).toBe('of the second')
    expect(reasons).toEqual(['OFFSTAGE_FENCED', 'OFFSTAGE_FENCED'])
    await turns()
    const fenced = one.told.filter(({ name }) => name === 'run:fenced')
    expect(fenced.map(({ event }) => event)).toEqual([{ claim: { run: handle.id, attempt: 1 }, task: 'lost' }])
    expect(one.lines.filter(({ fields }) => fields['claim'] === `${handle.id}#1`)).toHaveLength(1)
  })

  test('cannot record its end: the end is dropped, told as fenced, and the result is what the current attempt comes to', async () => {
    const held = gate()
    const lost = task({
      name: 'lost',
      durable: true,
      run: async (_: void, { attempt }) => (attempt === 1 ? (await held.opened, 'stale') : 'current'),
    })
    const one = await opened([lost])
    const handle = await one.offstage.start(lost)
    await soon(one.seen('run:started'))
    await declareDead(one)
    held.open()
    expect(await soon(handle.result())).toBe('current')
    expect(await soon(one.seen('run:fenced'))).toEqual({ claim: { run: handle.id, attempt: 1 }, task: 'lost' })
    expect(await handle.status()).toMatchObject({ attempt: 2, result: 'current' })
  })

  test('whose end was on its way when the next attempt ended the run in the same manner, tells of no end', async () => {
    const counts = task({ name: 'counts', durable: true, run: (_: void, { attempt }) => attempt })
    const one = await opened([counts])
    const held = one.store.hold('settle', 'before')
    const handle = await one.offstage.start(counts)
    await held.met
    const store = one.place()
    const [me] = await store.read({ kind: 'instances' })
    await store.write([{ kind: 'rescue', dead: [me!.id], limit: 10 }])
    const two = await opened([counts], { place: one.place })
    expect(await soon(two.offstage.handle(counts, handle.id).result())).toBe(2)
    held.open()
    expect(await soon(handle.result())).toBe(2)
    await soon(one.seen('run:fenced'))
    expect(one.told.map(({ name }) => name)).toEqual(['run:started', 'run:fenced'])
  })

  test('because it was settled behind its back keeps that end', async () => {
    const held = gate()
    const lost = task({ name: 'lost', durable: true, run: async () => (await held.opened, 'mine') })
    const one = await opened([lost])
    const handle = await one.offstage.start(lost)
    await soon(one.seen('run:started'))
    const [answer] = await one.store.write([
      {
        kind: 'settle',
        claim: { run: handle.id, attempt: 1 },
        outcome: { kind: 'failed', reason: 'timeout', error: { name: 'Error', message: 'by another' } },
      },
    ])
    expect((answer as Settled).state).toBe('failed')
    held.open()
    expect(await soon(failure(handle.result()))).toMatchObject({
      code: 'OFFSTAGE_RUN_FAILED',
      cause: { message: 'by another' },
    })
    await soon(one.seen('run:fenced'))
    expect(one.told.map(({ name }) => name)).toEqual(['run:started', 'run:fenced'])
  })
})

describe('a run whose next try is claimed in the very commit that recorded the last one', () => {
  /** Its second try is under way: it was claimed before the other run, which waits for the only place. */
  const hasty = async () => {
    const reasons: unknown[] = []
    const [first, second] = [gate(), gate()]
    const work = task({
      name: 'work',
      durable: true,
      priority: 1,
      retry: { attempts: 5, initial: 0 },
      run: async (_: void, { attempt, signal }) => {
        signal.addEventListener('abort', () => reasons.push(signal.reason))
        await [first, second][attempt - 1]?.opened
        if (attempt === 1) throw new Error('once')
        return attempt
      },
    })
    const one = await opened([work, quick], { worker: { concurrency: 1 } })
    const handle = await one.offstage.start(work)
    const other = await one.offstage.start(quick, 1)
    await turns()
    first.open()
    await soon(one.seen('run:started', ({ run }) => run.attempt === 2))
    const together = one.store.batches.find((batch) => batch.some(({ kind }) => kind === 'settle'))
    expect(together?.map(({ kind }) => kind)).toEqual(['settle', 'claim'])
    return { one, handle, other, second, reasons }
  }

  test('is still held: nobody gives it back while it runs', async () => {
    const { one, handle, other, second } = await hasty()
    await world.clock.advance(30_000)
    second.open()
    expect(await soon(handle.result())).toBe(2)
    await soon(other.result())
    const told = one.told.filter(({ event }) => (event as { run: Run }).run.id === handle.id).map(({ name }) => name)
    expect(told).toEqual(['run:started', 'run:retried', 'run:started', 'run:succeeded'])
    expect(await handle.status()).toMatchObject({ attempt: 2, tries: 2 })
  })

  test('is still held: a cancel reaches its code', async () => {
    const { handle, second, reasons } = await hasty()
    expect(await handle.cancel()).toBe('canceling')
    await turns()
    expect(reasons).toMatchObject([{ code: 'OFFSTAGE_CANCELED' }])
    second.open()
    await soon(failure(handle.result()).catch(() => undefined))
  })

  test('is still held: close waits for it', async () => {
    const { one, handle, second } = await hasty()
    const closing = one.offstage.close()
    expect(await isSettled(closing)).toBe(false)
    second.open()
    expect(await soon(closing)).toEqual({ abandoned: [] })
    expect(await one.place().read({ kind: 'find', run: handle.id })).toMatchObject({ state: 'succeeded', attempt: 2 })
  })
})

test('three deaths in a row, and the run is poisoned: its error says so', async () => {
  const waits = task({
    name: 'waits',
    durable: true,
    run: (_: void, { signal }) =>
      new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  })
  const one = await opened([waits])
  const handle = await one.offstage.start(waits)
  for (let death = 1; death <= 3; death++) {
    await soon(one.seen('run:started', ({ run }) => run.attempt === death))
    const [me] = await one.store.read({ kind: 'instances' })
    await one.store.write([{ kind: 'rescue', dead: [me!.id], limit: 10 }])
  }
  expect(await soon(failure(handle.result()))).toMatchObject({
    code: 'OFFSTAGE_RUN_FAILED',
    cause: { code: 'OFFSTAGE_POISONED' },
  })
  expect(await handle.status()).toMatchObject({ state: 'failed', reason: 'poisoned', attempt: 3 })
})

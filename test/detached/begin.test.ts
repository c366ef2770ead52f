import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { task } from 'offstage'
import { failure, gate, stage } from '../setup/stage.ts'

describe('a run begins in a later turn', () => {
  test('than anything its starter goes on to do, microtasks and ticks included', async () => {
    const { offstage } = stage()
    const order: string[] = []
    const mail = task({ name: 'mail', run: () => void order.push('task') })
    const handle = await offstage.start(mail)
    order.push('answered')
    for (let microtask = 0; microtask < 1_000; microtask++) await Promise.resolve()
    await new Promise<void>((resolve) => process.nextTick(resolve))
    for (let microtask = 0; microtask < 1_000; microtask++) await Promise.resolve()
    order.push('went on')
    await handle.result()
    expect(order).toEqual(['answered', 'went on', 'task'])
  })

  test('and the handle tells what was started, before anything of it ran', async () => {
    const { offstage } = stage()
    const add = task({ name: 'add', run: ([a, b]: [number, number]) => a + b })
    const handle = await offstage.start(add, [1, 2], { owner: 'ann', tags: ['x'], priority: 3, queue: 'sums' })
    expect(handle).toMatchObject({ task: 'add', disposition: 'created' })
    expect(handle.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(await handle.status()).toMatchObject({
      id: handle.id,
      task: 'add',
      durable: false,
      state: 'waiting',
      done: false,
      attempt: 0,
      tries: 0,
      maxAttempts: 1,
      owner: 'ann',
      tags: ['x'],
      priority: 3,
      queue: 'sums',
      startedAt: null,
      finishedAt: null,
      parent: null,
    })
    expect(await handle.result()).toBe(3)
    expect(await handle.status()).toMatchObject({ state: 'succeeded', done: true, attempt: 1, tries: 1, result: 3 })
  })
})

test.each([
  ['synchronous', () => 5, 5],
  ['asynchronous', async () => (await sleep(1), 5), 5],
  ['without a result', () => {}, undefined],
  ['asynchronous without a result', async () => {}, undefined],
  // oxlint-disable-next-line unicorn/no-thenable -- it is what is tested
  ['a thenable of another library', () => ({ then: (resolve: (value: number) => void) => resolve(5) }) as never, 5],
])('a run that is %s ends alike', async (_, run: () => unknown, result) => {
  const { offstage, told } = stage()
  expect(await offstage.execute(task({ name: 'any', run }))).toBe(result)
  expect(told.map(({ name }) => name)).toEqual(['run:started', 'run:succeeded'])
})

test('a run in memory takes and gives any value, as it is', async () => {
  const { offstage } = stage()
  const same = task({ name: 'same', run: (value: object) => value })
  for (const value of [
    new Map([[1, 2]]),
    new (class Own {})(),
    () => 1,
    Symbol.iterator,
    new Date(0),
    Object.create(null),
  ])
    expect(await offstage.execute(same, value)).toBe(value)
})

describe('the async context is empty', () => {
  const request = new AsyncLocalStorage<string>()

  /** What of the caller's context its code can reach, wherever it stands. */
  const everywhere = async (): Promise<readonly (string | undefined)[]> => {
    const seen = [request.getStore()]
    await Promise.resolve()
    seen.push(request.getStore())
    await sleep(1)
    seen.push(request.getStore())
    await new Promise<void>((resolve) => setTimeout(() => resolve(void seen.push(request.getStore())), 1))
    await new Promise<void>((resolve) => setImmediate(() => resolve(void seen.push(request.getStore()))))
    await new Promise<void>((resolve) => queueMicrotask(() => resolve(void seen.push(request.getStore()))))
    await new Promise<void>((resolve) => process.nextTick(() => resolve(void seen.push(request.getStore()))))
    return seen
  }
  const nothing = Array.from({ length: 7 }, () => undefined)

  test('for the code, its timers, ticks and promises', async () => {
    const { offstage } = stage()
    const look = task({ name: 'look', run: everywhere })
    expect(await request.run('of the caller', () => offstage.execute(look))).toEqual(nothing)
  })

  test('for a run that waited in line, was delayed, was tried again, or was started by another run', async () => {
    const { offstage } = stage({ memory: { concurrency: 1 } })
    const look = task({ name: 'look', run: everywhere })
    const again = task({
      name: 'again',
      retry: { attempts: 2, initial: 1 },
      run: (_: void, ctx) => {
        if (ctx.attempt === 1) throw new Error('once')
        return everywhere()
      },
    })
    const parent = task({
      name: 'parent',
      run: (_: void, ctx) => request.run('of the parent', async () => (await ctx.start(look)).result()),
    })
    const seen = await request.run('of the caller', () =>
      Promise.all([
        offstage.execute(look),
        offstage.execute(look),
        offstage.execute(look, undefined, { delay: 5 }),
        offstage.execute(again),
        offstage.execute(parent),
      ]),
    )
    expect(seen).toEqual([nothing, nothing, nothing, nothing, nothing])
  })

  test('for what after() was given', async () => {
    const { offstage } = stage()
    let seen: readonly unknown[] = []
    await request
      .run('of the caller', () =>
        offstage.after(async () => {
          seen = await everywhere()
        }),
      )
      .result()
    expect(seen).toEqual(nothing)
  })

  test('for a listener on its signal, whoever cancels', async () => {
    const { offstage, seen } = stage()
    const listened = Promise.withResolvers<string | undefined>()
    const waits = task({
      name: 'waits',
      run: (_: void, { signal }) =>
        new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => {
            listened.resolve(request.getStore())
            resolve()
          })
        }),
    })
    const handle = await offstage.start(waits)
    await seen('run:started')
    await new Promise((resolve) => setImmediate(resolve))
    await request.run('of who cancels', () => handle.cancel())
    expect(await listened.promise).toBeUndefined()
  })

  test('and who follows the run keeps a context of his own', async () => {
    const { offstage } = stage()
    const tells = task({
      name: 'tells',
      run: (_: void, ctx) =>
        request.run('of the task', async () => {
          ctx.progress(0.5)
          await Promise.resolve()
          ctx.emit(1)
        }),
    })
    const seen = await request.run('of the follower', async () => {
      const stores = new Set<unknown>()
      const handle = await offstage.start(tells)
      for await (const _ of handle.events()) stores.add(request.getStore())
      return [...stores]
    })
    expect(seen).toEqual(['of the follower'])
  })
})

describe('start refuses, before anything is begun,', () => {
  const begun: unknown[] = []
  const any = task({ name: 'any', run: (input: unknown) => void begun.push(input) })

  test.each([
    ['delay', -1],
    ['delay', Number.NaN],
    ['delay', Number.POSITIVE_INFINITY],
    ['delay', '5'],
    ['delay', '-5s'],
    ['delay', 5n],
    ['delay', null],
    ['at', new Date(Number.NaN)],
    ['at', 5],
    ['at', '2027-01-01'],
    ['priority', 1.5],
    ['priority', 32_768],
    ['priority', '1'],
    ['queue', ''],
    ['owner', 5],
    ['tags', 'one'],
    ['tags', [1]],
    ['signal', {}],
    ['idempotencyKey', ''],
    ['idempotencyKey', 'with a space'],
    ['idempotencyKey', 'k'.repeat(256)],
    ['idempotencyKey', 5],
    ['tx', 'BEGIN'],
    ['webhook', { url: 'https://x.test', secret: 's' }],
    ['transfer', []],
    ['dealy', 5],
  ])('the option %s: %o', async (option, value) => {
    const { offstage } = stage()
    const error = await failure(offstage.start(any, 1, { [option]: value }))
    expect(error).toMatchObject({ name: 'OffstageError', code: 'OFFSTAGE_BAD_OPTION' })
    expect(error.message).toContain(`start.options.${option}`)
    await new Promise((resolve) => setImmediate(resolve))
    expect(begun).toEqual([])
  })

  test.each([[undefined], [null], [{}], ['mail'], [{ name: 'mail', run: () => {} }], [() => {}]])(
    'what is no task: %o',
    async (what) => {
      const { offstage } = stage()
      expect(await failure(offstage.start(what as never))).toMatchObject({
        code: 'OFFSTAGE_BAD_OPTION',
        message: expect.stringContaining('`start(task)` must be a task') as string,
      })
    },
  )

  test('options that are no object', async () => {
    const { offstage } = stage()
    for (const options of ['5s', 5, true])
      expect(await failure(offstage.start(any, 1, options as never))).toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
  })

  test('a signal that was aborted before', async () => {
    const { offstage } = stage()
    const reason = new Error('gone')
    expect(await failure(offstage.start(any, 1, { signal: AbortSignal.abort(reason) }))).toBe(reason)
    expect(begun).toEqual([])
  })

  test('an input that the schema refuses, with its issues; and takes what the schema answers', async () => {
    const { offstage } = stage()
    const validate = async (value: unknown) =>
      typeof value === 'string'
        ? { value: Number(value) }
        : { issues: [{ message: 'no text', path: ['a', { key: 0 }] }] }
    const double = task({
      name: 'double',
      input: { '~standard': { version: 1, vendor: 'test', validate: validate } },
      run: (n: number) => n * 2,
    })
    expect(await offstage.execute(double, '21' as never)).toBe(42)
    expect(await failure(offstage.start(double, 21))).toMatchObject({
      name: 'InvalidInputError',
      code: 'OFFSTAGE_INVALID_INPUT',
      issues: [{ message: 'no text', path: ['a', 0] }],
    })
  })

  test('durable tasks and threads that are not among the tasks', async () => {
    const { offstage } = stage()
    const durable = task({ name: 'kept', durable: true, run: () => {} })
    const thread = task({ name: 'heavy', thread: true, run: () => {} })
    for (const unknown of [durable, thread])
      expect(await failure(offstage.start(unknown))).toMatchObject({ code: 'OFFSTAGE_UNKNOWN_TASK' })
  })
})

test('a run of a canceled start signal is canceled, and the signal keeps no listener once the run has ended', async () => {
  const { offstage, seen } = stage()
  const { signal, ...controller } = countedSignal()
  const waits = task({
    name: 'waits',
    run: (_: void, ctx) =>
      new Promise<void>((_resolve, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason))),
  })
  await offstage.execute(task({ name: 'quick', run: () => {} }), undefined, { signal })
  await new Promise((resolve) => setImmediate(resolve))
  expect(controller.listeners()).toBe(0)
  const handle = await offstage.start(waits, undefined, { signal })
  await seen('run:started', ({ run }) => run.id === handle.id)
  expect(controller.listeners()).toBe(1)
  controller.abort()
  expect(await failure(handle.result())).toMatchObject({ code: 'OFFSTAGE_CANCELED' })
})

function countedSignal() {
  const controller = new AbortController()
  let count = 0
  const { signal } = controller
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => (
    count++,
    addEventListener.apply(signal, args)
  )
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => (
    count--,
    removeEventListener.apply(signal, args)
  )
  return { signal, listeners: () => count, abort: () => controller.abort() }
}

test('a start while the instance shuts down is refused, one of a task that still runs too', async () => {
  const { offstage, seen } = stage()
  const held = gate()
  const quick = task({ name: 'quick', run: () => 1 })
  const parent = task({
    name: 'parent',
    run: async (_: void, ctx) => {
      await held.opened
      return failure(ctx.start(quick)).then(({ code }) => code)
    },
  })
  const handle = await offstage.start(parent)
  await seen('run:started')
  const closed = offstage.close({ deadline: 5_000 })
  expect(await failure(offstage.start(quick))).toMatchObject({ code: 'OFFSTAGE_SHUTDOWN' })
  expect(() => offstage.after(() => {})).toThrow(expect.objectContaining({ code: 'OFFSTAGE_SHUTDOWN' }) as Error)
  held.open()
  expect(await handle.result()).toBe('OFFSTAGE_SHUTDOWN')
  expect(await closed).toEqual({ abandoned: [] })
})

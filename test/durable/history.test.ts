import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { memoryStore } from 'offstage/memory'
import { sqliteStore } from 'offstage/sqlite'
import { task, type AnyTask, type Json, type Run } from 'offstage'
import { logLine } from '../../src/durable/log-line.ts'
import { turns, type FakeClock } from '../setup/fake-clock.ts'
import { failure, gate } from '../setup/stage.ts'
import { instances, type Instance } from './instance.ts'

// The whole of Offstage on a clock that stands still until a test moves it.
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
const opened = async (tasks: readonly AnyTask[], options: Parameters<typeof instance>[1] = {}) => {
  const one = instance(tasks, options)
  await soon(one.offstage.ready)
  return one
}
const details = async ({ place }: Instance, run: string) => (await place().read({ kind: 'details', run }))!
const names = ({ told }: Instance): readonly string[] =>
  told.map(({ name }) => name).filter((name) => name.startsWith('run:'))

describe('what a run logs', () => {
  test('is kept with its attempt and goes to the logger as before', async () => {
    const logs = task({
      name: 'logs',
      durable: true,
      retry: { attempts: 2, initial: 1 },
      run: async (_: void, { log, attempt }) => {
        log.info({ n: 1 }, `attempt ${attempt}`)
        log.warn({})
        if (attempt === 1) throw new Error('again')
      },
    })
    const one = await opened([logs])
    const handle = await one.offstage.start(logs)
    await soon(handle.result())
    expect((await details(one, handle.id)).logs).toEqual([
      { attempt: 1, at: expect.any(Number), level: 'info', message: 'attempt 1', fields: '{"n":1}' },
      { attempt: 1, at: expect.any(Number), level: 'warn', message: '', fields: '{}' },
      { attempt: 2, at: expect.any(Number), level: 'info', message: 'attempt 2', fields: '{"n":1}' },
      { attempt: 2, at: expect.any(Number), level: 'warn', message: '', fields: '{}' },
    ])
    const lines = one.lines.filter(({ fields }) => fields['n'] === 1)
    expect(lines).toMatchObject([
      { level: 'info', message: 'attempt 1', fields: { run: handle.id, task: 'logs', attempt: 1 } },
      { level: 'info', message: 'attempt 2', fields: { run: handle.id, task: 'logs', attempt: 2 } },
    ])
  })

  test('in a burst floods neither the store nor memory: the last 200 are sent, in one write', async () => {
    const over = gate()
    const burst = task({
      name: 'burst',
      durable: true,
      run: async (_: void, { log }) => {
        for (let n = 1; n <= 100_000; n++) log.debug({}, `${n}`)
        await over.opened
      },
    })
    const one = await opened([burst])
    const handle = await one.offstage.start(burst)
    await soon(one.seen('run:started'))
    await turns()
    const written = one.store.kinds('note')
    expect(written.map((write) => write.kind === 'note' && write.notes.length)).toEqual([200])
    over.open()
    await soon(handle.result())
    const { logs, record } = await details(one, handle.id)
    expect(logs.map(({ message }) => Number(message))).toEqual(Array.from({ length: 200 }, (_, n) => 99_801 + n))
    expect(one.lines).toHaveLength(100_000)
    // No reader of its events is told of lines.
    expect(record.number).toBe(3)
  })

  test('while the store stands still is owed one write, however many turns it takes', async () => {
    const over = gate()
    const chatty = task({
      name: 'chatty',
      durable: true,
      run: async (_: void, { log, emit }) => {
        for (let n = 1; n <= 300; n++) {
          log.info({}, `${n}`)
          emit(n)
          await new Promise((resolve) => setImmediate(resolve))
        }
        over.open()
      },
    })
    const one = await opened([chatty])
    const held = one.store.hold('note', 'before')
    const handle = await one.offstage.start(chatty)
    await over.opened
    held.open()
    await soon(handle.result())
    expect(one.store.kinds('note')).toHaveLength(2)
    const { logs } = await details(one, handle.id)
    expect(logs.at(-1)?.message).toBe('300')
    const outputs: Json[] = []
    for await (const event of handle.events({ after: 0 })) if (event.type === 'output') outputs.push(event.data)
    expect(outputs).toEqual(Array.from({ length: 300 }, (_, n) => n + 1))
  })

  const cyclic: Record<string, unknown> = { fine: 1 }
  cyclic['self'] = cyclic
  const hostile = {
    fine: 1,
    get bad(): never {
      throw new Error('no')
    },
    toString: () => {
      throw new Error('no')
    },
  }
  const unreadable = new Proxy({}, { ownKeys: () => Promise.reject(new Error('no')) as never })
  test.each<[string, unknown, unknown]>([
    ['a cycle', cyclic, { fine: 1, self: '[not JSON]' }],
    ['a getter that throws', hostile, { fine: 1, bad: '[not JSON]', toString: '[not JSON]' }],
    ['a proxy that throws', unreadable, {}],
    ['a bigint', { n: 5n }, { n: '5' }],
    [
      'an error',
      { err: Object.assign(new TypeError('why'), { code: 'E' }) },
      { err: { name: 'TypeError', message: 'why', code: 'E', stack: expect.stringContaining('TypeError: why') } },
    ],
    [
      'an error alone',
      new RangeError('why'),
      { err: { name: 'RangeError', message: 'why', stack: expect.any(String) } },
    ],
    ['nothing', null, {}],
    ['a text', 'only words', {}],
    ['too much', { text: 'é"\\'.repeat(5_000) }, { cut: expect.stringMatching(/^{"text":"é/) }],
  ])('is kept whatever its fields are: %s', (_, fields, kept) => {
    const line = logLine(5, 'info', { fields })
    expect(JSON.parse(line.fields)).toEqual(kept)
    expect(line.fields.length).toBeLessThanOrEqual(4_096)
    expect(line).toMatchObject({ at: 5, level: 'info', message: fields === 'only words' ? 'only words' : '' })
  })

  test('is cut to size, and its message may be anything', () => {
    expect(logLine(0, 'info', { fields: {}, message: 'x'.repeat(5_000) }).message).toHaveLength(1_024)
    expect(logLine(0, 'info', { fields: {}, message: 5 }).message).toBe('5')
    expect(logLine(0, 'info', { fields: {}, message: hostile }).message).toBe('')
  })
})

describe('the last progress', () => {
  const tells = task({
    name: 'tells',
    durable: true,
    run: async (_: void, ctx) => {
      ctx.emit('one')
      ctx.progress(0.5)
      await ctx.step('a', () => 1)
      ctx.emit('two')
      ctx.progress(1)
    },
  })

  test.each([
    ['before', 1],
    ['before', 2],
    ['before', 3],
    ['after', 1],
    ['after', 2],
  ] as const)(
    'is there where a reply is lost %s the commit, %d times; no output is told twice',
    async (moment, times) => {
      const one = await opened([tells])
      one.store.fail('note', moment, times)
      const handle = await one.offstage.start(tells)
      await soon(handle.result())
      expect(await handle.status()).toMatchObject({ state: 'succeeded', progress: { fraction: 1 } })
      const outputs: unknown[] = []
      for await (const event of handle.events({ after: 0 })) if (event.type === 'output') outputs.push(event.data)
      expect(outputs).toEqual([...new Set(outputs)])
    },
  )

  test('is there where its own write and the end leave in different commits, and the first is lost', async () => {
    const over = gate()
    const late = task({
      name: 'late',
      durable: true,
      run: async (_: void, ctx) => {
        ctx.progress(1)
        await over.opened
      },
    })
    const one = await opened([late])
    const held = one.store.hold('note', 'before')
    const handle = await one.offstage.start(late)
    await held.met
    over.open()
    await turns()
    // The first is never written.
    let first = true
    one.store.loses = () => {
      const lost = first ? 'before' : undefined
      first = false
      return lost
    }
    held.open()
    await soon(handle.result())
    expect(await handle.status()).toMatchObject({ progress: { fraction: 1 } })
  })

  test('is told once where every reply comes', async () => {
    const one = await opened([tells])
    const handle = await one.offstage.start(tells)
    const seen: unknown[] = []
    await soon(handle.result())
    for await (const event of handle.events({ after: 0 })) if (event.type === 'progress') seen.push(event.data)
    expect(seen).toEqual([{ fraction: 0.5 }, { fraction: 1 }])
  })
})

describe('a reply that is lost after the commit', () => {
  test('of a retry whose next try was claimed before the repeat is told as that retry, and nobody is fenced', async () => {
    const again = task({
      name: 'again',
      durable: true,
      retry: { attempts: 3, initial: 1, jitter: false },
      run: (_: void, { attempt }) => {
        if (attempt === 1) throw new Error('once')
        return attempt
      },
    })
    const one = await opened([again])
    one.store.fail('settle', 'after')
    const handle = await one.offstage.start(again)
    expect(await soon(handle.result())).toBe(2)
    await world.clock.advance(1_000)
    expect(names(one).toSorted()).toEqual(['run:retried', 'run:started', 'run:started', 'run:succeeded'])
    const retried = one.told.find(({ name }) => name === 'run:retried')!.event as { run: Run; error: Error }
    expect(retried).toMatchObject({ run: { state: 'waiting', attempt: 1, tries: 1 }, error: { message: 'once' } })
  })

  test('of a park is none: the run sleeps once, and nobody is told anything', async () => {
    const sleeps = task({
      name: 'sleeps',
      durable: true,
      run: async (_: void, ctx) => (await ctx.sleep('a', 1_000), ctx.attempt),
    })
    const one = await opened([sleeps])
    one.store.fail('settle', 'after', 2)
    const handle = await one.offstage.start(sleeps)
    expect(await soon(handle.result())).toBe(2)
    expect(await handle.status()).toMatchObject({ tries: 1 })
    expect(names(one)).toEqual(['run:started', 'run:started', 'run:succeeded'])
  })

  test('of a failure that had been asked to be canceled is told as canceled', async () => {
    const held = gate()
    const fails = task({
      name: 'fails',
      durable: true,
      retry: 1,
      run: async () => {
        await held.opened
        throw new Error('by itself')
      },
    })
    const one = await opened([fails])
    const handle = await one.offstage.start(fails)
    await soon(one.seen('run:started'))
    await one.place().write([{ kind: 'control', run: handle.id, verb: 'cancel', reason: null }])
    one.store.fail('settle', 'after')
    held.open()
    expect(await soon(failure(handle.result()))).toMatchObject({ code: 'OFFSTAGE_CANCELED' })
    expect(names(one)).toEqual(['run:started', 'run:canceled'])
  })

  test('of an end that another made meanwhile is a loss', async () => {
    const held = gate()
    const late = task({
      name: 'late',
      durable: true,
      retry: 1,
      run: async () => (await held.opened, Promise.reject(new Error('mine'))),
    })
    const one = await opened([late])
    const handle = await one.offstage.start(late)
    await soon(one.seen('run:started'))
    const error = { name: 'Error', message: 'by another' }
    await one.place().write([
      {
        kind: 'settle',
        claim: { run: handle.id, attempt: 1 },
        outcome: { kind: 'failed', reason: 'timeout', error },
      },
    ])
    one.store.fail('settle', 'after')
    held.open()
    await soon(one.seen('run:fenced'))
    expect(names(one)).toEqual(['run:started', 'run:fenced'])
  })
})

describe('upcast', () => {
  const old = task({ name: 'moves', durable: true, version: 1, run: ({ a }: { a: number }) => a })
  const moved = async (policy: (input: Json, from: number) => Json, retry = 1) => {
    const asked: unknown[] = []
    const given: unknown[] = []
    const now = task({
      name: 'moves',
      durable: true,
      version: 3,
      retry: { attempts: retry, initial: 1 },
      upcast: (input, from) => {
        asked.push([input, from])
        return policy(input, from)
      },
      run: (input: { b: number }) => {
        given.push(input)
        return input.b
      },
    })
    const starter = await opened([old], { worker: false })
    const handle = await starter.offstage.start(old, { a: 1 })
    const one = await opened([now], { place: starter.place })
    return { one, handle, now, asked, given }
  }

  test('makes the input of an older version this one, at its attempt', async () => {
    const { one, handle, now, asked, given } = await moved((input) => ({ b: (input as { a: number }).a * 10 }))
    expect(await soon(handle.result())).toBe(10)
    expect(asked).toEqual([[{ a: 1 }, 1]])
    expect(await soon(one.offstage.execute(now, { b: 5 }))).toBe(5)
    expect([asked.length, given]).toEqual([1, [{ b: 10 }, { b: 5 }]])
  })

  test('that throws is a failure of the attempt: the retry policy has its say', async () => {
    let times = 0
    const { one, handle } = await moved(() => {
      if (++times < 3) throw new TypeError('not yet')
      return { b: 1 }
    }, 5)
    expect(await soon(handle.result())).toBe(1)
    await turns()
    expect(names(one)).toEqual([
      'run:started',
      'run:retried',
      'run:started',
      'run:retried',
      'run:started',
      'run:succeeded',
    ])
  })

  test.each<[string, (input: Json) => unknown]>([
    ['a date', () => ({ b: new Date() })],
    ['a promise', () => Promise.resolve({ b: 1 })],
  ])('that answers %s is refused: it must be JSON', async (_, answer) => {
    const { handle, given } = await moved(answer as never)
    expect((await soon(failure(handle.result()))).cause).toMatchObject({
      code: 'OFFSTAGE_NOT_SERIALIZABLE',
      message: expect.stringContaining('`upcast` of the task "moves"') as string,
    })
    expect(given).toEqual([])
  })
})

test('an attempt has the time that its run was started with: others go by it too', async () => {
  const reasons: unknown[] = []
  const old = task({ name: 'slow', durable: true, timeout: '1s', run: () => {} })
  const slow = task({
    name: 'slow',
    durable: true,
    timeout: '1h',
    retry: 1,
    run: (_: void, { signal }) =>
      new Promise<void>((resolve) =>
        signal.addEventListener('abort', () => {
          reasons.push(signal.reason)
          resolve()
        }),
      ),
  })
  const starter = await opened([old], { worker: false })
  const handle = await starter.offstage.start(old)
  await opened([slow], { place: starter.place })
  await soon(handle.result())
  expect(reasons).toMatchObject([{ code: 'OFFSTAGE_TIMEOUT', message: expect.stringContaining('1000 ms') }])
})

test('an instance whose clock is far behind that of its store sleeps once, and does not spin', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'offstage-clock-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }))
  const begun: number[] = []
  const sleeps = task({
    name: 'sleeps',
    durable: true,
    run: async (_: void, ctx) => {
      begun.push(ctx.attempt)
      await ctx.sleep('a', 200)
      await ctx.waitFor('never', { timeout: 200 }).catch(() => {})
    },
  })
  // Its thread has the real time.
  const store = sqliteStore({ path: join(folder, 'runs.db') })
  const one = await opened([sleeps], { place: () => store })
  expect(world.clock.now()).toBeLessThan(Date.now() - 86_400_000)
  await soon(one.offstage.execute(sleeps))
  expect(begun).toEqual([1, 2, 3])
})

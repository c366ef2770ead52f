import { describe, expect, test } from 'vitest'
import { createOffstage, schedule, task } from 'offstage'
import { parseSettings } from '../../src/runtime/settings.ts'

const refused = (options: unknown): string => {
  try {
    createOffstage(options as never)
  } catch (error) {
    expect(error).toMatchObject({ name: 'OffstageError', code: 'OFFSTAGE_BAD_OPTION' })
    return (error as Error).message
  }
  throw new Error('It was taken.')
}
const of = (options: unknown) => parseSettings(options)

test('nothing said is everything at its default', () => {
  for (const nothing of [
    undefined,
    {},
    { memory: {}, threads: undefined, limits: {}, shutdown: {}, worker: undefined, tasks: undefined },
  ])
    expect(of(nothing)).toMatchObject({
      concurrency: 16,
      memory: { concurrency: 64, capacity: 10_000 },
      threads: { capacity: 10_000 },
      shutdown: { grace: 20_000, signals: true },
      limits: { input: 262_144, result: 1_048_576, depth: 64 },
      store: 'sqlite:.offstage/offstage.db',
    })
  expect(of({}).threads.size).toBeGreaterThanOrEqual(1)
})

test('what is said is read, copied and frozen: altering it afterwards alters nothing', () => {
  const memory = { concurrency: 3, capacity: 5 }
  const options = {
    memory,
    worker: { concurrency: 2 },
    shutdown: { grace: '5s', signals: false },
    limits: { depth: 9 },
  }
  const settings = of(options)
  memory.capacity = 1
  expect(settings).toMatchObject({
    concurrency: 2,
    memory: { concurrency: 3, capacity: 5 },
    shutdown: { grace: 5_000, signals: false },
    limits: { depth: 9, input: 262_144 },
  })
  for (const part of [settings, settings.memory, settings.shutdown, settings.limits])
    expect(Object.isFrozen(part)).toBe(true)
  expect(of({ worker: false }).concurrency).toBe(0)
  expect(of({ worker: true }).concurrency).toBe(16)
})

test('the environment names the store where no option does', () => {
  process.env['OFFSTAGE_STORE'] = 'memory:'
  try {
    expect(of({}).store).toBe('memory:')
    expect(of({ store: 'sqlite:x.db' }).store).toBe('sqlite:x.db')
  } finally {
    delete process.env['OFFSTAGE_STORE']
  }
})

describe('a refusal says which option, what was expected and what was given:', () => {
  test.each<readonly [unknown, string]>([
    [{ worker: { concurrency: 0 } }, '`worker.concurrency` must be a whole number from 1 to 100000, got 0 (number).'],
    [
      { worker: { concurrency: 1.5 } },
      '`worker.concurrency` must be a whole number from 1 to 100000, got 1.5 (number).',
    ],
    [{ worker: 5 }, '`worker` must be an object, got 5 (number).'],
    [{ worker: null }, '`worker` must be an object, got null.'],
    [{ memory: { concurrency: '64' } }, '`memory.concurrency` must be a whole number from 1 up, got 64 (string).'],
    [{ memory: { capacity: -1 } }, '`memory.capacity` must be a whole number from 1 up, got -1 (number).'],
    [
      { memory: { capacity: Number.POSITIVE_INFINITY } },
      '`memory.capacity` must be a whole number from 1 up, got Infinity (number).',
    ],
    [{ threads: { size: 0 } }, '`threads.size` must be a whole number from 1 to 1024, got 0 (number).'],
    [{ limits: { depth: 1_001 } }, '`limits.depth` must be a whole number from 1 to 1000, got 1001 (number).'],
    [{ limits: [] }, '`limits` must be an object, got an array of 0.'],
    [
      { shutdown: { grace: '5' } },
      "`shutdown.grace` must be a duration: milliseconds from 0 up, or a text such as '30s', '5m', '1h', got 5 (string).",
    ],
    [{ shutdown: { signals: 'yes' } }, '`shutdown.signals` must be true or false, got yes (string).'],
    [{ store: 5 }, "`store` must be 'sqlite:PATH', 'memory:' or a Store, got 5 (number)."],
    [{ store: {} }, "`store` must be 'sqlite:PATH', 'memory:' or a Store, got an object (Object)."],
    [{ logger: console.log }, '`logger` must be a logger with debug, info, warn and error, got a function.'],
    [{ logger: { info() {} } }, '`logger` must be a logger with debug, info, warn and error, got an object (Object).'],
    [{ tasks: 5 }, '`tasks` must be a module, a list of tasks or an object whose values are tasks, got 5 (number).'],
    [{ tasks: [{ name: 'x', run() {} }] }, '`tasks[0]` must be a task, as task() returns it, got an object (Object).'],
    [{ onHang: 'kill' }, "`onHang` must be 'report' or 'exit', got kill (string)."],
    [
      { concurrency: 5 },
      '`concurrency` must be left out: known are tasks, store, worker, memory, threads, shutdown, retention, limits, onHang, http, logger, got 5 (number).',
    ],
    [
      { memory: { concurency: 5 } },
      '`memory.concurency` must be left out: known are concurrency, capacity, got 5 (number).',
    ],
    [{ constructor: 5 }, '`constructor` must be left out: known are'],
    [JSON.parse('{"__proto__":1}'), '`__proto__` must be left out: known are'],
  ])('%o', (options, message) => {
    expect(refused(options)).toContain(message)
  })

  test.each([[5], ['memory:'], [true], [[]], [() => ({})]])('options that are no object: %o', (options) => {
    expect(refused(options)).toMatch(/must be an object/)
  })

  test('of a long text or a secret, sixty characters at most', () => {
    const message = refused({ memory: { capacity: `${'x'.repeat(60)}secret` } })
    expect(message).toContain('…')
    expect(message).not.toContain('secret')
  })

  test.each([
    'postgres://user:secret@host/db',
    'mysql://x',
    '',
    'sqlite',
    'sqlite:',
    'sqlite_',
    'memory',
    'memory:x',
    '/var/x.db',
  ])('a store that is none is refused by the constructor, and its address is not shown: %s', (store) => {
    const message = refused({ store })
    expect(message).toContain('`store` must be')
    expect(message).not.toContain('secret')
  })
})

describe('what is not built yet is refused by its name, never ignored:', () => {
  test.each([
    ['webhooks', { webhooks: {} }],
    ['context', { context: {} }],
    ['worker.queues', { worker: { queues: {} } }],
    ['worker.poll', { worker: { poll: 5 } }],
    ['memory.remember', { memory: { remember: {} } }],
    ['threads.idle', { threads: { idle: '5s' } }],
    ['threads.isolate', { threads: { isolate: 'process' } }],
    ['threads.maxRuns', { threads: { maxRuns: 5 } }],
    ['threads.resourceLimits', { threads: { resourceLimits: {} } }],
  ])('%s', (name, options) => {
    expect(refused(options)).toBe(`\`${name}\` is not available in this version of Offstage. Leave it out.`)
  })

  test.each(['concurrency', 'rate', 'unique', 'expose'])('task(…).%s', (name) => {
    expect(() => task({ name: 'x', run: () => {}, [name]: 1 })).toThrow(
      `\`task(x).${name}\` is not available in this version`,
    )
  })

  test('and where such a name is undefined, nothing was said', () => {
    expect(task({ name: 'x', run: () => {}, unique: undefined } as never).name).toBe('x')
  })

  test('schedule', () => {
    const refusal = expect.objectContaining({ code: 'OFFSTAGE_BAD_OPTION' }) as Error
    const quick = task({ name: 'quick', run: () => {} })
    expect(() => schedule({ name: 's', cron: '* * * * *', task: quick })).toThrow(refusal)
  })
})

test('a constructor that refuses leaves nothing behind: no listener on the process', () => {
  const events = ['SIGTERM', 'SIGINT', 'uncaughtException', 'unhandledRejection']
  const before = events.map((event) => process.listenerCount(event))
  for (const options of [{ memory: 5 }, { tasks: [1] }, { http: { basePath: 5 } }, { store: 'mysql://x' }])
    expect(() => createOffstage(options as never)).toThrow()
  expect(events.map((event) => process.listenerCount(event))).toEqual(before)
})

import { Readable } from 'node:stream'
import { request } from 'node:http'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createOffstage, task, type NotSerializableError, type Offstage, type Task } from 'offstage'
import { failure, listLogger, type Line } from '../setup/stage.ts'
import { long, SEED } from './support/chance.ts'
import { tell } from './support/figures.ts'
import { Fleet } from './support/fleet.ts'
import { storedRuns } from './support/store.ts'
import { Yardstick } from './support/yardstick.ts'

const MIB = 1_048_576
/** Milliseconds that the event loop may stand. */
const LOOP = 50

/** What a task gives back without looking at it; the types would refuse most of what is given here. */
const echo = task({ name: 'echo', durable: true, run: (value: null) => value }) as Task<unknown, unknown>

/** A real store in a file, closed at the end of the block. */
async function opened(tasks: readonly Task<never, unknown>[]): Promise<Kept> {
  const fleet = new Fleet()
  const offstage = createOffstage({
    tasks,
    store: `sqlite:${fleet.database}`,
    shutdown: { signals: false },
    logger: listLogger([] as Line[]),
  })
  await offstage.ready
  return {
    offstage,
    runs: () => storedRuns(fleet.database).length,
    database: fleet.database,
    [Symbol.asyncDispose]: async () => {
      await offstage.close({ deadline: 200 })
      await fleet[Symbol.asyncDispose]()
    },
  }
}
interface Kept extends AsyncDisposable {
  readonly offstage: Offstage
  readonly database: string
  runs(): number
}

/** The documented table: an undefined property is absent, every object comes back as Object's. */
function expected(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expected)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]) => (one === undefined ? [] : [[key, expected(one)]])),
  )
}

const anyText = fc.string({
  unit: fc.oneof(
    fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
    fc.constantFrom('\0', '\u2028', '\u2029', '\ud800', '\udfff', '"', '\\', '\u007f', '😀'),
  ),
  maxLength: 20,
})

class Own {
  a = 1
}
const cycle: { self?: unknown } = {}
cycle.self = { cycle }
const throwing = (key: string): object =>
  Object.defineProperty({ b: 1 }, key, {
    enumerable: true,
    get: () => {
      throw new Error('of the getter')
    },
  })

type Given = readonly [name: string, value: unknown, path: readonly (string | number)[]]
const REFUSED: readonly Given[] = [
  ['a bigint', { n: 1n }, ['n']],
  ['a function', [() => 1], [0]],
  ['a symbol', { s: Symbol('s') }, ['s']],
  ['a cycle', cycle, ['self', 'cycle']],
  ['a Map', { m: new Map() }, ['m']],
  ['an instance of a class', { a: [new Own()] }, ['a', 0]],
  ['undefined in an array', [undefined], [0]],
  ['a Date', { at: new Date(0) }, ['at']],
  ['NaN', { n: Number.NaN }, ['n']],
  ['a RegExp', [/x/], [0]],
  ['a typed array', { bytes: new Uint8Array(1) }, ['bytes']],
  ['a sparse array', { a: Object.assign([1], { 2: 1 }) }, ['a', 1]],
  ['F49: a getter that throws', throwing('a'), ['a']],
  ['F49: a toJSON that throws', { x: throwing('toJSON') }, ['x', 'toJSON']],
  [
    'F49: a proxy that throws',
    {
      p: new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error('of the trap')
          },
        },
      ),
    },
    ['p'],
  ],
]

/** Gives back what no input could bring here. */
const gives = task({
  name: 'gives',
  durable: true,
  retry: 1,
  run: (name: string) => REFUSED.find(([one]) => one === name)![1] as null,
})

describe('F45: a value', () => {
  let kept: Kept
  beforeAll(async () => void (kept = await opened([echo, gives])))
  afterAll(() => kept[Symbol.asyncDispose]())

  test.each(REFUSED)(
    '%s is refused as an input before anything is written, and fails alone as a result',
    async (name, value, path) => {
      const before = kept.runs()
      const refused = await failure(kept.offstage.start(echo, value))
      expect(refused).toMatchObject({ code: 'OFFSTAGE_NOT_SERIALIZABLE', path })
      expect(kept.runs()).toBe(before)
      const failed = await failure(kept.offstage.execute(gives, name))
      expect(failed).toMatchObject({ code: 'OFFSTAGE_RUN_FAILED', cause: { code: 'OFFSTAGE_NOT_SERIALIZABLE', path } })
    },
  )

  test('of 500 is refused with its place before anything is written, or comes back as it was', async () => {
    const before = kept.runs()
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
      withSparseArray: true,
      withTypedArray: true,
    })
    let [taken, refused] = [0, 0]
    for (const value of fc.sample(anything, { numRuns: 500, seed: SEED })) {
      try {
        const back = await kept.offstage.execute(echo, value)
        taken++
        expect(isDeepStrictEqual(back, expected(value))).toBe(true)
      } catch (error) {
        const { code, path } = error as NotSerializableError
        expect(code).toBe('OFFSTAGE_NOT_SERIALIZABLE')
        expect(Array.isArray(path)).toBe(true)
        refused++
      }
    }
    tell('F45', { taken, refused })
    expect(kept.runs() - before).toBe(taken)
    expect(Math.min(taken, refused)).toBeGreaterThan(20)
  })
})

describe('F46: a value that is too large', () => {
  test.each([1, 64, long(600, 200)])(
    'of %d MB is refused and not buffered: given to start, or sent over HTTP',
    async (mb) => {
      await using fleet = new Fleet()
      const instance = await fleet.start({ http: true })
      // What code and heap take is there.
      await instance.ask('swell', 1)
      await posted(instance.port, body(1))
      const { code, grown } = await instance.ask('swell', mb)
      const before = await instance.ask('usage')
      const status = await posted(instance.port, body(mb))
      const after = await instance.ask('usage')
      const overHttp = Math.max(after.most - Math.max(before.most, before.rss), 0)
      tell(`F46 ${mb} MB`, { 'grown by a start (MiB)': grown / MIB, 'by a request': overHttp / MIB })
      expect(code).toBe('OFFSTAGE_PAYLOAD_TOO_LARGE')
      expect([413, 'cut off']).toContain(status)
      expect(fleet.runs()).toEqual([])
      // Three times what may be stored at all, input and result.
      expect(grown).toBeLessThanOrEqual(3 * MIB * 1.5)
      expect(overHttp).toBeLessThanOrEqual(3 * MIB * 1.5)
    },
  )
})

/** So many MB of JSON, in parts. */
function* body(mb: number): Generator<Buffer> {
  const part = Buffer.alloc(100_000, '1')
  yield Buffer.from('[')
  for (let sent = 0; sent < mb * 10; sent++) yield part
}

/** The status of a body that is sent in parts. What is refused may be cut off while it is still sent: then the answer can be lost. */
function posted(port: number, parts: Iterable<Buffer>): Promise<number | 'cut off'> {
  return new Promise((resolve, reject) => {
    let status: number | 'cut off' = 'cut off'
    const sending = request(
      { port, host: '127.0.0.1', method: 'POST', path: '/', headers: { 'content-type': 'application/json' } },
      (response) => {
        status = response.statusCode!
        response.resume().on('close', () => resolve(status))
      },
    )
    sending.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(status) : reject(error),
    )
    Readable.from(parts).pipe(sending)
  })
}

describe('F47: a value that is', () => {
  const nested = (): unknown => {
    let value: unknown = 1
    for (let level = 0; level < 100_000; level++) value = [value]
    return value
  }
  const keys = (): object => Object.fromEntries(Array.from({ length: 1_000_000 }, (_, index) => [`k${index}`, index]))
  /** What V8 takes to name the keys of a million: nobody can look at such an object in less. */
  const named = (): number => {
    const object = keys()
    const begun = performance.now()
    Reflect.ownKeys(object)
    return performance.now() - begun
  }

  test.each([
    ['100,000 arrays deep', { value: nested(), code: 'OFFSTAGE_NOT_SERIALIZABLE', bound: () => LOOP }],
    [
      '1,000,000 items wide',
      { value: Array.from({ length: 1_000_000 }, () => 1), code: 'OFFSTAGE_PAYLOAD_TOO_LARGE', bound: () => LOOP },
    ],
    ['1,000,000 keys wide', { value: keys(), code: 'OFFSTAGE_PAYLOAD_TOO_LARGE', bound: () => LOOP + named() * 2 }],
  ])('%s is refused by start, and holds up nothing', async (name, { value, code, bound }) => {
    await using kept = await opened([echo])
    await failure(kept.offstage.start(echo, { warm: 1n }))
    const slow = new Yardstick()
    const begun = performance.now()
    expect(await failure(kept.offstage.start(echo, value))).toMatchObject({ code })
    const took = performance.now() - begun
    tell(`F47 ${name}`, { 'refused after (ms)': took })
    expect(took).toBeLessThanOrEqual(bound() * slow.slowness)
    expect(kept.runs()).toBe(0)
  })

  test('deep or wide is refused over HTTP, and holds up nothing', async () => {
    await using fleet = new Fleet()
    const instance = await fleet.start({ http: true })
    const post = (text: string): Promise<number | 'cut off'> => posted(instance.port, [Buffer.from(text)])
    const wide = JSON.stringify(keys())
    expect(await post('{')).toBe(400)
    await instance.ask('lag')
    expect(await post('['.repeat(100_000) + ']'.repeat(100_000))).toBe(400)
    expect([413, 'cut off']).toContain(await post(wide))
    const lag = await instance.ask('lag')
    tell('F47 over HTTP', { 'longest stand of the event loop': lag })
    expect(lag).toBeLessThanOrEqual(fleet.bound(LOOP))
    expect(fleet.runs()).toEqual([])
  })
})

test('F48: texts of any code units, as values and as keys, come back byte for byte, also from another connection', async () => {
  await using kept = await opened([echo])
  const texts = fc.sample(anyText, { numRuns: 1_000, seed: SEED })
  const inputs = texts.map((text, index) => ({ [text]: texts[texts.length - 1 - index], list: [text] }))
  const handles = await kept.offstage.startMany(echo, inputs)
  const backs = await Promise.all(handles.map((handle) => handle.result()))
  expect(backs.every((back, index) => isDeepStrictEqual(back, inputs[index]))).toBe(true)
  const stored = new Map(storedRuns(kept.database).map(({ id, result }) => [id, JSON.parse(result!) as unknown]))
  expect(handles.every(({ id }, index) => isDeepStrictEqual(stored.get(id), inputs[index]))).toBe(true)
  tell('F48', { texts: texts.length, units: texts.join('').length })
})

test('F49: hostile keys are data, and Object.prototype is as it was', async () => {
  await using kept = await opened([echo])
  const before = Reflect.ownKeys(Object.prototype)
  for (const text of [
    '{"__proto__":{"polluted":1}}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '[{"__proto__":{"__proto__":{"polluted":1}}}]',
  ]) {
    const value: unknown = JSON.parse(text)
    const back = await kept.offstage.execute(echo, value)
    expect(JSON.stringify(back)).toBe(text)
    expect(JSON.stringify(await kept.offstage.execute(echo, Object.freeze(value)))).toBe(text)
  }
  expect(({} as { polluted?: number }).polluted).toBeUndefined()
  expect(Reflect.ownKeys(Object.prototype)).toEqual(before)
})

const cyclic: Error & { cause?: unknown } = new Error('cyclic')
cyclic.cause = new Error('inner', { cause: cyclic })
class Hostile extends Error {
  override get message(): string {
    throw new Error('of the getter')
  }
}
const THROWN: readonly (readonly [name: string, thrown: unknown])[] = [
  ['null', null],
  ['undefined', undefined],
  ['an empty text', ''],
  ['a message of 10 MB', new Error('m'.repeat(10_000_000))],
  ['a cyclic cause', cyclic],
  ['an error whose getter throws', new Hostile()],
  ['a promise that never settles, with a timeout', 'never'],
]
const throws = task({
  name: 'throws',
  durable: true,
  retry: 1,
  timeout: 200,
  run: (name: string): Promise<null> => {
    const thrown = THROWN.find(([one]) => one === name)![1]
    return thrown === 'never' ? new Promise(() => undefined) : Promise.reject(thrown)
  },
})
describe('F50: a hostile throw is one failed attempt on record:', () => {
  let kept: Kept
  beforeAll(async () => void (kept = await opened([throws])))
  afterAll(() => kept[Symbol.asyncDispose]())

  test.each(THROWN)('%s', async (name, thrown) => {
    const before = kept.runs()
    const handle = await kept.offstage.start(throws, name)
    expect(await failure(handle.result())).toMatchObject({ code: 'OFFSTAGE_RUN_FAILED' })
    const { state, reason, attempt, tries, error } = await handle.status()
    const why = thrown === 'never' ? 'timeout' : 'error'
    expect({ state, reason, attempt, tries }).toEqual({ state: 'failed', reason: why, attempt: 1, tries: 1 })
    expect(error!.message.length).toBeLessThanOrEqual(8_192)
    expect(error!.stack?.length ?? 0).toBeLessThanOrEqual(32_768)
    expect(kept.runs() - before).toBe(1)
  })
})

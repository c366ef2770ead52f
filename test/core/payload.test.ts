import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NotSerializableError } from 'offstage'
import { decode, encode } from '../../src/core/payload.ts'

const AMPLE = { bytes: 10_000_000, depth: 64 }
const text = (value: unknown, limit = AMPLE): string | null => encode(value, 'The input', limit)
const refusal = (value: unknown, limit = AMPLE): NotSerializableError & { readonly code: string } => {
  try {
    text(value, limit)
  } catch (error) {
    return error as NotSerializableError // what else it is, the test says
  }
  throw new Error('It was taken.')
}

/** Any text of UTF-16 units, halves of pairs included. */
const anyText = fc.string({
  unit: fc.oneof(
    fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
    fc.constantFrom('\0', '\u2028', '\u2029', '\ud800', '\udfff', '"', '\\', '\u007f', '😀'),
  ),
  maxLength: 12,
})
const anyKey = fc.oneof(
  anyText,
  fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'toJSON', 'length', '', '0', '-0', 'then'),
)
const anyNumber = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.constantFrom(-0, 0, 5e-324, Number.MAX_VALUE, Number.MIN_SAFE_INTEGER, 2 ** 53, 1e21, -1e-7),
)

/** As a caller may have it: plain, without a prototype, or frozen. Own keys whatever they are called. */
function objectOf(entries: readonly (readonly [string, unknown])[], shape: 'plain' | 'bare' | 'frozen'): object {
  const object = shape === 'bare' ? (Object.create(null) as object) : {}
  for (const [key, value] of entries)
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  return shape === 'frozen' ? Object.freeze(object) : object
}

const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(anyText, anyNumber, fc.boolean(), fc.constant(null)),
    fc.array(tie('json'), { maxLength: 5 }).chain((items) => fc.constantFrom(items, Object.freeze([...items]))),
    fc
      .tuple(
        fc.uniqueArray(
          fc.tuple(
            anyKey,
            fc.oneof({ weight: 8, arbitrary: tie('json') }, { weight: 1, arbitrary: fc.constant(undefined) }),
          ),
          { maxLength: 5, selector: ([key]) => key },
        ),
        fc.constantFrom('plain' as const, 'bare' as const, 'frozen' as const),
      )
      .map(([entries, shape]) => objectOf(entries, shape)),
  ),
}))

/** The same, to the sign of a zero; properties that were undefined are absent, and a prototype is Object's. */
function same(given: unknown, back: unknown): boolean {
  if (typeof given !== 'object' || given === null) return Object.is(given, back)
  if (Array.isArray(given))
    return Array.isArray(back) && back.length === given.length && given.every((item, index) => same(item, back[index]))
  if (typeof back !== 'object' || back === null || Object.getPrototypeOf(back) !== Object.prototype) return false
  const keys = Object.keys(given).filter((key) => (given as Record<string, unknown>)[key] !== undefined)
  const own = (of: object, key: string): unknown => Object.getOwnPropertyDescriptor(of, key)?.value
  return (
    keys.join() === Object.keys(back).join() &&
    Reflect.ownKeys(back).length === keys.length &&
    keys.every((key) => same(own(given, key), own(back, key)))
  )
}

describe('what JSON can say comes back as it was:', () => {
  test('every value, to the sign of a zero and the half of a surrogate pair', () => {
    fc.assert(
      fc.property(json, (value) => {
        const written = text(value)
        const back = decode(written)
        expect(same(value, back)).toBe(true)
        expect(text(back)).toBe(written)
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([
    ['−0', -0, '-0'],
    ['−0 in depth', { a: [-0, 0, { b: -0 }] }, '{"a":[-0,0,{"b":-0}]}'],
    ['−0 beside what needs escapes', { '"': -0, '\0': '\ud800' }, String.raw`{"\"":-0,"\u0000":"\ud800"}`],
    ['NUL', '\0', String.raw`"\u0000"`],
    ['a lone surrogate', 'a\udc00b', String.raw`"a\udc00b"`],
    ['a line separator', '\u2028', '"\u2028"'],
    ['null', null, 'null'],
    ['an own __proto__', objectOf([['__proto__', { a: 1 }]], 'plain'), '{"__proto__":{"a":1}}'],
    ['an own toJSON that is no function', { toJSON: 1 }, '{"toJSON":1}'],
    ['one object in two places', ((shared) => ({ a: shared, b: [shared] }))({ n: 1 }), '{"a":{"n":1},"b":[{"n":1}]}'],
    ['an array of 0', [], '[]'],
  ])('%s', (_, value, written) => {
    expect(text(value)).toBe(written)
    expect(same(value, decode(written))).toBe(true)
  })

  test('an undefined property is absent; undefined alone is no payload', () => {
    expect(text({ a: undefined, b: 1 })).toBe('{"b":1}')
    expect(text({ a: undefined, b: -0 })).toBe('{"b":-0}')
    expect(text(undefined)).toBeNull()
    expect(decode(null)).toBeUndefined()
  })

  test('and Object.prototype is as it was, whatever an own __proto__ or constructor held', () => {
    const before = Reflect.ownKeys(Object.prototype)
    for (const hostile of [
      '{"__proto__":{"polluted":1}}',
      '{"constructor":{"prototype":{"polluted":1}}}',
      '[{"__proto__":{"__proto__":{"polluted":1}}}]',
    ]) {
      const back = decode(hostile)
      expect(text(back)).toBe(hostile)
      expect(({} as { polluted?: number }).polluted).toBeUndefined()
    }
    expect(Reflect.ownKeys(Object.prototype)).toEqual(before)
  })
})

class Own {
  a = 1
}
class Rows extends Array<number> {}
class Nameless {
  static get name(): string {
    throw new Error('of the class')
  }
}
const cyclic: { self?: unknown; list: unknown[] } = { list: [] }
cyclic.list.push({ deep: cyclic })
const loop: unknown[] = []
loop.push(loop)
const trapped = (trap: keyof ProxyHandler<object>, target: object = {}): object =>
  new Proxy(target, {
    [trap]: () => {
      throw new Error('of the trap')
    },
  })
const { proxy: revoked, revoke } = Proxy.revocable({}, {})
revoke()

describe('what JSON cannot carry back unchanged is refused with its path:', () => {
  test.each<readonly [string, unknown, readonly (string | number)[]]>([
    ['undefined in an array', { a: [1, undefined] }, ['a', 1]],
    ['a hole in an array', { a: Object.assign([1], { 2: 3 }) }, ['a', 1]],
    ['an array of holes', [Object.assign([], { length: 3 })], [0, 0]],
    ['NaN', { a: { b: Number.NaN } }, ['a', 'b']],
    ['Infinity', [Number.POSITIVE_INFINITY], [0]],
    ['−Infinity', [[Number.NEGATIVE_INFINITY]], [0, 0]],
    ['a bigint', { n: 1n }, ['n']],
    ['a symbol', [Symbol('s')], [0]],
    ['a function', { f: () => 1 }, ['f']],
    ['a toJSON of its own', { toJSON: () => 1 }, ['toJSON']],
    [
      'a toJSON that throws',
      {
        toJSON: () => {
          throw new Error('of toJSON')
        },
      },
      ['toJSON'],
    ],
    ['a cycle', cyclic, ['list', 0, 'deep']],
    ['an array that holds itself', loop, [0]],
    ['a Date', { at: new Date(0) }, ['at']],
    ['a Map', [new Map()], [0]],
    ['a Set', [new Set()], [0]],
    ['a RegExp', [/x/], [0]],
    ['a typed array', { bytes: new Uint8Array(2) }, ['bytes']],
    ['a Buffer', { bytes: Buffer.from('x') }, ['bytes']],
    ['an Error', { error: new Error('x') }, ['error']],
    ['a Promise', [Promise.resolve(1)], [0]],
    ['a boxed text', [new String('x')], [0]],
    ['a boxed number', [new Number(1)], [0]],
    ['an instance of a class', { a: new Own() }, ['a']],
    ['an instance of a class whose name throws', { a: new Nameless() }, ['a']],
    ['an array of a class', { rows: Rows.from([1]) }, ['rows']],
    ['an object with a prototype of its own', [Object.create({ inherited: 1 })], [0]],
    ['a URL', [new URL('http://x')], [0]],
    [
      'the arguments of a function',
      [
        (function () {
          return arguments
        })(),
      ],
      [0, 'length'],
    ],
    [
      'a getter',
      {
        get a() {
          return 1
        },
      },
      ['a'],
    ],
    [
      'a getter that throws',
      {
        get a(): never {
          throw new Error('of the getter')
        },
      },
      ['a'],
    ],
    ['a setter', { set a(_: number) {} }, ['a']],
    ['a getter in an array', Object.defineProperty([0, 1], 1, { get: () => 1, enumerable: true }), [1]],
    ['a hidden property', Object.defineProperty({ a: 1 }, 'b', { value: 1 }), ['b']],
    ['a symbol as key', { a: { [Symbol('s')]: 1 } }, ['a']],
    ['a key of its own on an array', { a: Object.assign([1], { more: 1 }) }, ['a']],
    ['a symbol on an array', { a: Object.assign([1], { [Symbol('s')]: 1 }) }, ['a']],
    ['an array with a prototype of its own', [Object.setPrototypeOf([1], {})], [0]],
    ['a proxy that refuses its prototype', { a: trapped('getPrototypeOf') }, ['a']],
    ['a proxy that refuses its keys', { a: trapped('ownKeys') }, ['a']],
    ['a proxy that refuses its properties', { a: trapped('getOwnPropertyDescriptor', { b: 1 }) }, ['a', 'b']],
    ['a proxy of an array that refuses its items', { a: trapped('get', [1]) }, ['a']],
    ['a revoked proxy', [revoked], [0]],
  ])('%s', (_, value, path) => {
    const error = refusal(value)
    expect(error).toBeInstanceOf(NotSerializableError)
    expect(error).toMatchObject({ name: 'NotSerializableError', code: 'OFFSTAGE_NOT_SERIALIZABLE', path })
    const place = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('')
    expect(error.message).toMatch(/^The input: .+ is not JSON\.$/)
    expect(error.message).toContain(` at ${place} `)
  })

  test('at the root, in words', () => {
    expect(refusal(new Date(0))).toMatchObject({
      path: [],
      message: 'The input: an instance of Date at the root is not JSON.',
    })
  })

  test('wherever it stands: a bad leaf anywhere in a good value is found, and nothing else is', () => {
    const bad = fc.constantFrom<unknown>(Number.NaN, 1n, Symbol('s'), () => 1, new Date(0), new Map(), new Own())
    fc.assert(
      fc.property(json, bad, fc.array(fc.oneof(anyKey, fc.constant(0)), { maxLength: 6 }), (good, leaf, path) => {
        const nested = path.reduceRight<unknown>(
          (inner, key) =>
            typeof key === 'number'
              ? [inner, good]
              : objectOf(
                  [
                    ['good', good],
                    [key, inner],
                  ].filter(([name], index) => index === 1 || name !== key) as [string, unknown][],
                  'plain',
                ),
          leaf,
        )
        expect(refusal(nested).path).toEqual(path)
      }),
      { numRuns: 300 },
    )
  })

  test('and no payload is in the words of the refusal', () => {
    expect(refusal({ a: ['secret-1', new Date(0)], b: 'secret-2' }).message).not.toContain('secret')
  })
})

describe('limits', () => {
  const nested = (levels: number, make: (inner: unknown) => unknown): unknown => {
    let value: unknown = 1
    for (let level = 0; level < levels; level++) value = make(value)
    return value
  }

  test.each([
    ['arrays', (inner: unknown) => [inner]],
    ['objects', (inner: unknown) => ({ a: inner })],
  ])('%s are taken as deep as the limit, and refused one level deeper, with the place', (_, make) => {
    expect(text(nested(64, make))).not.toBeNull()
    expect(refusal(nested(65, make))).toMatchObject({
      code: 'OFFSTAGE_NOT_SERIALIZABLE',
      message: expect.stringContaining('more than 64 levels') as string,
    })
    expect(refusal(nested(65, make)).path).toHaveLength(64)
    expect(text(nested(1_000, make), { bytes: 1e6, depth: 1_000 })).not.toBeNull()
    expect(text([-0, nested(999, make)], { bytes: 1e6, depth: 1_000 })).not.toBeNull()
  })

  test.each([
    ['arrays', (inner: unknown) => [inner]],
    ['objects', (inner: unknown) => ({ a: inner })],
  ])('100,000 nested %s are refused and overflow no stack', (_, make) => {
    expect(refusal(nested(100_000, make))).toMatchObject({ code: 'OFFSTAGE_NOT_SERIALIZABLE' })
  })

  test('bytes are those of UTF-8: what just fits is taken, one byte more is refused', () => {
    fc.assert(
      fc.property(json, (value) => {
        const bytes = Buffer.byteLength(text(value)!)
        expect(text(value, { bytes, depth: 64 })).toBe(text(value))
        expect(refusal(value, { bytes: bytes - 1, depth: 64 })).toMatchObject({ code: 'OFFSTAGE_PAYLOAD_TOO_LARGE' })
      }),
      { numRuns: 300 },
    )
  })

  test('a value whose JSON would be longer than any text can be is too large as well', () => {
    const part = 'a'.repeat(30_000_000)
    expect(
      refusal(
        Array.from({ length: 20 }, () => part),
        { bytes: 262_144, depth: 64 },
      ),
    ).toMatchObject({ code: 'OFFSTAGE_PAYLOAD_TOO_LARGE' })
  })

  test('the refusal says how large it is, and what is allowed', () => {
    expect(refusal('é'.repeat(100), { bytes: 150, depth: 64 }).message).toBe(
      'The input has 202 bytes of JSON; the limit is 150. Keep the bytes in a file or a table and pass their key.',
    )
  })

  test('no payload has no size', () => {
    expect(text(undefined, { bytes: 1, depth: 1 })).toBeNull()
  })
})

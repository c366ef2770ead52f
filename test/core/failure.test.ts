import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CanceledError, FencedError, NotSerializableError, OffstageError, ShutdownError, TimeoutError } from 'offstage'
import { fromFailure, toFailure } from '../../src/core/failure.ts'

describe('whatever is thrown becomes a record (F50):', () => {
  class GetterThrows extends Error {
    override get message(): string {
      throw new Error('of the getter')
    }
    override get cause(): unknown {
      throw new Error('of the getter')
    }
    get code(): string {
      throw new Error('of the getter')
    }
  }
  const { proxy: revoked, revoke } = Proxy.revocable({}, {})
  revoke()
  const unreadable = {
    toString: () => {
      throw new Error('x')
    },
    [Symbol.toPrimitive]: () => {
      throw new Error('x')
    },
  }

  test.each([
    ['null', null, { name: 'Error', message: 'null' }],
    ['undefined', undefined, { name: 'Error', message: 'undefined' }],
    ['an empty text', '', { name: 'Error', message: '' }],
    ['a text', 'no', { name: 'Error', message: 'no' }],
    ['a number', -0, { name: 'Error', message: '0' }],
    ['a symbol', Symbol('s'), { name: 'Error', message: 'Symbol(s)' }],
    ['a bigint', 5n, { name: 'Error', message: '5' }],
    ['an object that is no error', { message: 'almost', code: 42 }, { name: 'Error', message: 'almost', code: '42' }],
    ['an object without a prototype', Object.create(null), { name: 'Error', message: '' }],
    ['an object that cannot be text', unreadable, { name: 'Error', message: '' }],
    ['a function', function failing() {}, { name: 'failing' }],
    ['a function without a prototype', Object.setPrototypeOf(() => {}, null), { message: '' }],
    ['a revoked proxy', revoked, { name: 'Error', message: '' }],
    ['an array', [1, 2], { name: 'Error', message: '1,2' }],
    ['a DOMException', new DOMException('aborted', 'AbortError'), { name: 'AbortError', message: 'aborted' }],
    ['an error whose getters throw', new GetterThrows(), { name: 'Error' }],
    ['a name that is no text', Object.assign(new Error('here'), { name: {} }), { name: 'Error', message: 'here' }],
    ['an empty name', Object.assign(new Error('here'), { name: '' }), { name: 'Error', message: 'here' }],
  ])('%s', (_, thrown, record) => {
    expect(toFailure(thrown)).toMatchObject(record)
  })

  test('anything at all, and it is JSON of a bounded size', () => {
    fc.assert(
      fc.property(
        fc.anything({
          withBigInt: true,
          withBoxedValues: true,
          withDate: true,
          withMap: true,
          withNullPrototype: true,
          withObjectString: true,
          withSparseArray: true,
          withTypedArray: true,
        }),
        (thrown) => {
          const record = toFailure(thrown)
          expect(JSON.parse(JSON.stringify(record))).toEqual(record)
          expect(typeof record.name).toBe('string')
          expect(typeof record.message).toBe('string')
        },
      ),
      { numRuns: 500 },
    )
  })
})

test('everything is cut to size: message, stack, name, code and the depth of causes', () => {
  const huge = Object.assign(new Error('m'.repeat(10_000_000)), {
    name: 'n'.repeat(1_000),
    code: 'c'.repeat(1_000),
    stack: 's'.repeat(1_000_000),
  })
  const { name, message, stack, code } = toFailure(huge)
  expect([message.length, stack?.length, name.length, code?.length]).toEqual([8_192, 32_768, 200, 200])
  expect(message.endsWith('…')).toBe(true)
  expect(toFailure(new Error('x'.repeat(8_192))).message).toBe('x'.repeat(8_192))

  let deep = new Error('1')
  for (let level = 2; level <= 20; level++) deep = new Error(String(level), { cause: deep })
  const causes: string[] = []
  for (let record: ReturnType<typeof toFailure> | undefined = toFailure(deep); record; record = record.cause)
    causes.push(record.message)
  expect(causes).toEqual(['20', '19', '18', '17', '16'])

  const cyclic = new Error('round')
  cyclic.cause = cyclic
  expect(JSON.stringify(toFailure(cyclic)).length).toBeLessThan(100_000)
})

test('only what says `expose: true` may be shown', () => {
  expect(toFailure(Object.assign(new Error('x'), { expose: true })).expose).toBe(true)
  for (const expose of [1, 'true', false, undefined])
    expect(toFailure(Object.assign(new Error('x'), { expose }))).not.toHaveProperty('expose')
})

describe('a record becomes an error again:', () => {
  test('name, message, code, stack and causes', () => {
    const thrown = Object.assign(
      new TypeError('no', { cause: Object.assign(new RangeError('deeper'), { code: 'E_DEEP' }) }),
      { code: 'E_NO' },
    )
    const revived = fromFailure(toFailure(thrown)) as TypeError & { code: string; cause: Error & { code: string } }
    expect(revived).toBeInstanceOf(Error)
    expect(revived).toMatchObject({
      name: 'TypeError',
      message: 'no',
      code: 'E_NO',
      stack: thrown.stack,
      cause: { name: 'RangeError', message: 'deeper', code: 'E_DEEP' },
    })
    expect(Object.keys(revived)).toEqual(['code'])
    expect(String(revived)).toBe('TypeError: no')
  })

  test.each([
    [new TimeoutError('too long'), TimeoutError],
    [new CanceledError('enough'), CanceledError],
    [new CanceledError(), CanceledError],
    [new ShutdownError(), ShutdownError],
    [new FencedError('r#1'), OffstageError],
    [new NotSerializableError('The result: a Date', ['a', 0]), OffstageError],
    [new OffstageError('OFFSTAGE_CRASHED', 'It died.'), OffstageError],
  ])('one of ours as what a caller tells it by: %o', (ours, kind) => {
    const revived = fromFailure(toFailure(ours)) as OffstageError
    expect(revived).toBeInstanceOf(kind)
    expect(revived).toMatchObject({ name: ours.name, message: ours.message, code: ours.code, stack: ours.stack })
  })

  test('a code that only looks like ours, or like a member of every object, is a code and no more', () => {
    for (const code of ['OFFSTAGE_NO_SUCH', 'constructor', '__proto__', 'toString']) {
      const revived = fromFailure({ name: 'Error', message: 'x', code })
      expect(revived).not.toBeInstanceOf(OffstageError)
      expect(revived).toMatchObject({ code })
    }
  })

  test('and a record again: the same', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, maxLength: 50 }),
        fc.string(),
        fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
        (name, message, code) => {
          const record = toFailure(
            Object.assign(new Error(message, { cause: new Error(message) }), {
              name,
              ...(code === undefined ? {} : { code }),
            }),
          )
          expect(toFailure(fromFailure(record))).toEqual(record)
        },
      ),
    )
  })
})

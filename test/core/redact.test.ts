import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { REDACTED, redacted, scrubber, secretsIn } from '../../src/core/redact.ts'

describe('redacted', () => {
  test.each([
    [{ card: { number: '4111', holder: 'Ann' } }, ['/card/number'], { card: { number: REDACTED, holder: 'Ann' } }],
    [{ card: { number: '4111' } }, ['/card'], { card: REDACTED }],
    [{ rows: [{ key: 1 }, { key: 2 }] }, ['/rows/1/key'], { rows: [{ key: 1 }, { key: REDACTED }] }],
    [
      ['a', 'b'],
      ['/0', '/1'],
      [REDACTED, REDACTED],
    ],
    ['whole', [''], REDACTED],
    [null, [''], REDACTED],
    [{ 'a/b': { 'm~n': 1 } }, ['/a~1b/m~0n'], { 'a/b': { 'm~n': REDACTED } }],
    [{ '~1': 1, '/': 2 }, ['/~01'], { '~1': REDACTED, '/': 2 }],
    [{ '': { '': 1 } }, ['//'], { '': { '': REDACTED } }],
    [{ a: false, b: null, c: 0 }, ['/a', '/b', '/c'], { a: REDACTED, b: REDACTED, c: REDACTED }],
  ])('%j without %j', (value, pointers, expected) => {
    const before = structuredClone(value)
    expect(redacted(value, pointers)).toEqual(expected)
    expect(value).toEqual(before)
  })

  test.each([
    [{ a: 1 }, '/b'],
    [{ a: 1 }, '/a/b'],
    [{ a: 'text' }, '/a/length'],
    [{ a: undefined }, '/a'],
    [['a'], '/1'],
    [['a'], '/-'],
    [['a'], '/00'],
    [['a'], '/length'],
    [null, '/a'],
    [undefined, ''],
    [{}, '/__proto__'],
    [{}, '/constructor/name'],
    [{ '*': { a: 1 }, x: { b: 1 } }, '/*/b'],
  ])('a pointer into nothing changes nothing: %j %s', (value, pointer) => {
    expect(redacted(value, [pointer])).toBe(value)
  })

  test('a key that would be a prototype stays a key', () => {
    const value: unknown = JSON.parse('{"__proto__":{"token":"s"},"a":1}')
    const shown = redacted(value, ['/__proto__/token'])
    expect(JSON.stringify(shown)).toBe('{"__proto__":{"token":"[redacted]"},"a":1}')
    expect(Object.getPrototypeOf(shown)).toBe(Object.prototype)
  })

  test('whatever the value and the pointer, the value stays as it was and the rest is shown', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.array(fc.string(), { maxLength: 4 }), (value, parts) => {
        const pointer = parts.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
        const before = JSON.stringify(value)
        redacted(value, [pointer])
        expect(JSON.stringify(value)).toBe(before)
        const wrapped = { kept: value, lost: value }
        expect(redacted(wrapped, ['/lost'])).toEqual({ kept: value, lost: REDACTED })
      }),
    )
  })
})

describe('secretsIn', () => {
  test('texts and numbers at the pointers and below, and nothing else', () => {
    const value = { a: { b: ['x1', 2, true, null, ' ', '', { c: 10n, k: 'x2' }] }, z: 'shown' }
    expect([...secretsIn(value, ['/a', '/nowhere', '/a/b/0'])]).toEqual(['x1', '2', '10', 'x2', 'x1'])
  })

  test('a value that holds itself has an end', () => {
    const value: Record<string, unknown> = { token: 's' }
    value['self'] = value
    expect([...secretsIn(value, [''])]).toEqual(['s'])
  })
})

describe('scrubber', () => {
  const scrub = (text: string, ...secrets: readonly string[]): string => scrubber(new Set(secrets))(text)

  test.each([
    ['no such user', [], 'no such user'],
    ['token tok_123 was refused', ['tok_123'], 'token [redacted] was refused'],
    ['tok_123tok_123', ['tok_123'], '[redacted][redacted]'],
    ['abcdefgh', ['abcd', 'abcdefgh'], '[redacted]'],
    ['.* and .+', ['.*', '.+'], '[redacted] and [redacted]'],
    ['pin 42 of 1042 at x:42:7', ['42'], 'pin [redacted] of 1042 at x:[redacted]:7'],
    ['{"token":"a\\"b\\nc"}', ['a"b\nc'], '{"token":"[redacted]"}'],
    ['GET /?token=a%26b%20c', ['a&b c'], 'GET /?token=[redacted]'],
    ['$& stays', ['other'], '$& stays'],
  ])('%j without %j', (text, secrets, expected) => {
    expect(scrub(text, ...secrets)).toBe(expected)
  })

  test('what is left of a secret at the end of a text that was cut goes too', () => {
    expect(scrub('the token is s3cret-tok…', 's3cret-token-value')).toBe('the token is [redacted]…')
    expect(scrub('the token is s3c…', 's3cret-token-value')).toBe('the token is s3c…')
    expect(scrub('the token is s3cret-tok', 's3cret-token-value')).toBe('the token is s3cret-tok')
  })

  test('a secret with half of a character does not break it', () => {
    expect(scrub('x \ud800abc y', '\ud800abc')).toBe('x [redacted] y')
  })

  test('no secret of four characters or more is left, wherever it stands', () => {
    const secret = fc.stringMatching(/^[0-9A-Z]{4,12}$/)
    fc.assert(
      fc.property(fc.array(secret, { minLength: 1, maxLength: 5 }), fc.array(fc.string()), (secrets, between) => {
        const text = between.flatMap((one, index) => [one, secrets[index % secrets.length]]).join('')
        const shown = scrub(text, ...secrets)
        for (const one of secrets) expect(shown).not.toContain(one)
      }),
    )
  })
})

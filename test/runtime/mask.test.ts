import { describe, expect, test } from 'vitest'
import type { RunError } from '../../src/core/run.ts'
import { maskOf, NOTHING_SHOWN } from '../../src/runtime/mask.ts'
import { listLogger, type Line } from '../setup/stage.ts'
import { aRun, succeeded } from '../http/fake-runs.ts'

const SECRET = 's3cret-4711'
const mask = maskOf(['/token'], { token: SECRET, user: 'ann' })

test('a task that redacts nothing is told as it is, the very same values', () => {
  const open = maskOf([], { token: SECRET })
  const error = new Error(SECRET)
  const lines: Line[] = []
  const logger = listLogger(lines)
  expect([open.value(error), open.error(error), open.text(SECRET), open.logger(logger)]).toEqual([
    error,
    error,
    SECRET,
    logger,
  ])
  expect(open.error(error)).toBe(error)
})

describe('a value', () => {
  test('is shown without the secret, wherever in it that stands', () => {
    const shared = { echoed: `<${SECRET}>` }
    const value = {
      token: 'another',
      list: [SECRET, { [SECRET]: 1 }],
      shared,
      again: shared,
      at: new Date(0),
      n: 5,
      b: true,
    }
    expect(mask.value(value)).toEqual({
      token: '[redacted]',
      list: ['[redacted]', { '[redacted]': 1 }],
      shared: { echoed: '<[redacted]>' },
      again: { echoed: '<[redacted]>' },
      at: '1970-01-01T00:00:00.000Z',
      n: 5,
      b: true,
    })
    expect(value.list[0]).toBe(SECRET)
  })

  test('with a number that is secret', () => {
    const pin = maskOf(['/pin'], { pin: 4711 })
    expect(pin.value({ entered: 4711, text: 'pin 4711', other: 47110, big: 4711n })).toEqual({
      entered: '[redacted]',
      text: 'pin [redacted]',
      other: 47110,
      big: '[redacted]',
    })
  })

  test('that holds itself, or cannot be read, shows no secret', () => {
    const value: Record<string, unknown> = { a: SECRET }
    value['self'] = value
    expect(mask.value(value)).toEqual({ a: '[redacted]', self: '[circular]' })
    const trap = {
      get bad(): string {
        throw new Error(SECRET)
      },
    }
    expect(mask.value(trap)).toBe('[redacted]')
    expect(mask.value(undefined)).toBeUndefined()
  })
})

describe('an error', () => {
  test('keeps its words but for the secret, in its causes too, and nothing else of it is told', () => {
    const cause = new TypeError(`cause ${SECRET}`)
    const thrown = Object.assign(new RangeError(`bad ${SECRET}`, { cause }), {
      code: `E_${SECRET}`,
      response: { body: SECRET },
    })
    const told = mask.error(thrown) as RangeError & { readonly code: string }
    expect(told).toMatchObject({ name: 'RangeError', message: 'bad [redacted]', code: 'E_[redacted]' })
    expect(told.cause).toMatchObject({ name: 'TypeError', message: 'cause [redacted]' })
    expect(told.stack).toContain('mask.test.ts')
    expect([told.stack, JSON.stringify(told), String((told.cause as Error).stack)].join()).not.toContain(SECRET)
    expect(thrown.message).toBe(`bad ${SECRET}`)
  })

  test('that is no error is told as one', () => {
    expect(mask.error(SECRET)).toMatchObject({ name: 'Error', message: '[redacted]' })
  })

  test('whose message was cut within the secret', () => {
    const thrown = new Error(`${'x'.repeat(8_192 - 7)}${SECRET}`)
    const { message } = mask.error(thrown) as Error
    expect(message).not.toContain('s3cr')
    expect(message.endsWith('[redacted]…')).toBe(true)
  })
})

test('a run: its result, error, progress and tags', () => {
  const error: RunError = { name: 'Error', message: SECRET, stack: `at ${SECRET}` }
  const run = aRun({
    ...succeeded,
    result: { token: 'new', seen: SECRET },
    error,
    progress: { done: 1, message: `at ${SECRET}` },
    tags: ['eu', SECRET],
  })
  expect(mask.run(run)).toEqual({
    ...run,
    result: { token: '[redacted]', seen: '[redacted]' },
    error: { name: 'Error', message: '[redacted]', stack: 'at [redacted]' },
    progress: { done: 1, message: 'at [redacted]' },
    tags: ['eu', '[redacted]'],
  })
})

test('a logger: message and fields, errors among them', () => {
  const lines: Line[] = []
  const logger = mask.logger(listLogger(lines))
  logger.warn({ run: 'r', err: new Error(SECRET), user: { name: 'ann', token: SECRET } }, `refused ${SECRET}`)
  logger.info({ n: 1 })
  logger.debug(`with ${SECRET}` as never)
  expect(lines).toEqual([
    {
      level: 'warn',
      fields: {
        run: 'r',
        err: expect.objectContaining({ message: '[redacted]' }),
        user: { name: 'ann', token: '[redacted]' },
      },
      message: 'refused [redacted]',
    },
    { level: 'info', fields: { n: 1 }, message: undefined },
    { level: 'debug', fields: Object.assign({}, 'with [redacted]'), message: undefined },
  ])
  expect((lines[0]!.fields['err'] as Error).stack).not.toContain(SECRET)
})

describe('nothing at all is shown', () => {
  test('where nobody knows what must be hidden', () => {
    const run = aRun({ ...succeeded, result: 1, tags: ['a'] })
    const lines: Line[] = []
    NOTHING_SHOWN.logger(listLogger(lines)).error({ a: 1 }, 'text')
    expect([
      NOTHING_SHOWN.value({ a: 1 }),
      NOTHING_SHOWN.value(undefined),
      NOTHING_SHOWN.error(new TypeError('x')),
      NOTHING_SHOWN.run(run),
      lines,
    ]).toEqual([
      '[redacted]',
      undefined,
      expect.objectContaining({ message: '[redacted]', stack: '[redacted]' }),
      { ...run, result: '[redacted]', tags: ['[redacted]'] },
      [{ level: 'error', fields: {}, message: '[redacted]' }],
    ])
  })

  test('of a run with more secrets than can be looked for, or whose secrets cannot be read', () => {
    const many = Array.from({ length: 1_001 }, (_, index) => `secret-${index}`)
    expect(maskOf(['/all'], { all: many })).toBe(NOTHING_SHOWN)
    expect(maskOf(['/all'], { all: many.slice(1) })).not.toBe(NOTHING_SHOWN)
    const trap = {
      token: {
        get value(): string {
          throw new Error('no')
        },
      },
    }
    expect(maskOf(['/token'], trap)).toBe(NOTHING_SHOWN)
  })
})

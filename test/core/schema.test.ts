import { describe, expect, test } from 'vitest'
import { InvalidInputError } from 'offstage'
import { validated, type StandardSchemaV1 } from '../../src/core/schema.ts'
import { failure } from '../setup/stage.ts'

const mail = { what: 'The input of the task "mail"', so: 'Nothing was started.' }
const schema = (validate: (value: unknown) => unknown): StandardSchemaV1<unknown, unknown> => ({
  '~standard': { version: 1, vendor: 'test', validate: validate as never },
})

test('what the schema answers is the input, at once or later, changed or not: falsy, too', async () => {
  for (const value of [5, 0, '', false, null, undefined, { a: 1 }]) {
    expect(
      await validated(
        schema(() => ({ value })),
        'given',
        mail,
      ),
    ).toBe(value)
    expect(
      await validated(
        schema(async () => ({ value })),
        'given',
        mail,
      ),
    ).toBe(value)
  }
  expect(
    await validated(
      schema((value) => ({ value, issues: undefined })),
      'given',
      mail,
    ),
  ).toBe('given')
})

describe('what it refuses is an InvalidInputError', () => {
  const symbol = Symbol('s')
  test.each<readonly [readonly unknown[] | undefined, readonly (string | number)[]]>([
    [undefined, []],
    [[], []],
    [
      ['a', 0, 'b'],
      ['a', 0, 'b'],
    ],
    [
      [{ key: 'a' }, { key: 0 }],
      ['a', 0],
    ],
    [
      [symbol, { key: symbol }],
      ['Symbol(s)', 'Symbol(s)'],
    ],
  ])('with the path of each issue: %o', async (path, plain) => {
    const error = await failure(
      validated(
        schema(() => ({ issues: [{ message: 'no', path }] })),
        'given',
        mail,
      ),
    )
    expect(error).toBeInstanceOf(InvalidInputError)
    expect(error).toMatchObject({
      code: 'OFFSTAGE_INVALID_INPUT',
      issues: [{ message: 'no', path: plain }],
      message: 'The input of the task "mail" was refused in 1 place. Nothing was started.',
    })
  })

  test('with the count of them, none of the input in its words', async () => {
    const error = await failure(
      validated(
        schema(async () => ({ issues: [{ message: 'a' }, { message: 'b', path: ['x'] }] })),
        'secret',
        mail,
      ),
    )
    expect(error.message).toBe('The input of the task "mail" was refused in 2 places. Nothing was started.')
    expect(error['issues']).toEqual([
      { message: 'a', path: [] },
      { message: 'b', path: ['x'] },
    ])
  })
})

test('a schema that throws rejects with what it threw', async () => {
  const thrown = new Error('of the schema')
  expect(
    await failure(
      validated(
        schema(() => {
          throw thrown
        }),
        1,
        mail,
      ),
    ),
  ).toBe(thrown)
  expect(
    await failure(
      validated(
        schema(() => Promise.reject(thrown)),
        1,
        mail,
      ),
    ),
  ).toBe(thrown)
})

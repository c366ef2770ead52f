import { describe, expect, test } from 'vitest'
import { task } from 'offstage'
import { policyOf } from '../../src/core/task.ts'

const run = (): void => {}

test('a task is a plain frozen value, and defining one starts nothing', () => {
  let ran = 0
  const before = process.getActiveResourcesInfo().length
  const mail = task({ name: 'mail', run: () => void ran++ })
  expect(Object.keys(mail)).toEqual(['name', 'durable', 'thread'])
  expect(mail).toEqual({ name: 'mail', durable: false, thread: false })
  expect(Object.isFrozen(mail)).toBe(true)
  expect(JSON.stringify(mail)).toBe('{"name":"mail","durable":false,"thread":false}')
  expect([ran, process.getActiveResourcesInfo().length]).toEqual([0, before])
})

test('its policy has what was said, and else the defaults: another for a durable task', () => {
  const memory = policyOf(task({ name: 'memory', run }))
  expect(memory).toMatchObject({
    queue: 'default',
    priority: 0,
    timeout: null,
    onCrash: 'retry',
    version: 1,
    input: undefined,
    retry: { attempts: 1, backoff: 'exponential', initial: 1_000, max: 3_600_000, jitter: true },
  })
  expect(policyOf(task({ name: 'durable', durable: true, run }))).toMatchObject({
    timeout: 3_600_000,
    retry: { attempts: 10 },
  })
  const said = {
    queue: 'q',
    priority: -32_768,
    timeout: '90s',
    onCrash: 'fail',
    version: 7,
    retry: { attempts: 4, backoff: 'fixed', initial: '2s', max: 0, jitter: false },
  } as const
  expect(policyOf(task({ name: 'said', run, ...said }))).toMatchObject({
    ...said,
    timeout: 90_000,
    retry: { attempts: 4, backoff: 'fixed', initial: 2_000, max: 0, jitter: false },
  })
  expect(policyOf(task({ name: 'number', run, retry: 5 }))).toMatchObject({ retry: { attempts: 5, jitter: true } })
})

test('its policy is copied and frozen: altering the definition afterwards alters nothing', () => {
  const definition = { name: 'mail', run, priority: 1, retry: { attempts: 2 } }
  const mail = task(definition)
  definition.priority = 9
  definition.retry.attempts = 9
  const policy = policyOf(mail)!
  expect(policy).toMatchObject({ priority: 1, retry: { attempts: 2 } })
  expect([Object.isFrozen(policy), Object.isFrozen(policy.retry)]).toEqual([true, true])
})

describe('names', () => {
  test.each(['a', 'send-mail', 'A.b_c:d/e-0', 'x'.repeat(200)])('%s is one', (name) => {
    expect(task({ name, run }).name).toBe(name)
  })
  const none = ['', ' ', 'a b', 'é', 'a\n', 'x'.repeat(201), '\0', 'a?', "a'", 5, null, undefined, ['a']]
  test.each(none.map((name) => [JSON.stringify(name), name]))('%s is none', (_, name) => {
    expect(() => task({ name: name as never, run })).toThrow(
      /must be 1 to 200 characters of A–Z a–z 0–9 \. _ : \/ -, got /,
    )
  })
})

describe('a definition that is none is refused, with what it is called, what was expected and what was given:', () => {
  test.each<readonly [object, string]>([
    [{ run: 'code' }, '`task(x).run` must be a function, got code (string).'],
    [{ run: undefined }, '`task(x).run` must be a function, got undefined.'],
    [{ durable: 'yes' }, '`task(x).durable` must be true or false, got yes (string).'],
    [{ thread: 1 }, '`task(x).thread` must be true or false, got 1 (number).'],
    [{ input: {} }, '`task(x).input` must be a Standard Schema (https://standardschema.dev), got an object (Object).'],
    [{ input: { '~standard': {} } }, '`task(x).input` must be a Standard Schema'],
    [{ queue: '' }, '`task(x).queue` must be a well-formed text that is not empty, got  (string).'],
    [{ priority: 32_768 }, '`task(x).priority` must be a whole number from -32768 to 32767, got 32768 (number).'],
    [{ timeout: '5' }, '`task(x).timeout` must be a duration'],
    [{ timeout: Number.NaN }, '`task(x).timeout` must be a duration'],
    [{ onCrash: 'ignore' }, "`task(x).onCrash` must be 'retry' or 'fail', got ignore (string)."],
    [{ version: 0 }, '`task(x).version` must be a whole number from 1 up, got 0 (number).'],
    [{ retry: 0 }, '`task(x).retry.attempts` must be a whole number from 1 to 1000000, got 0 (number).'],
    [{ retry: { attempts: 1.5 } }, '`task(x).retry.attempts` must be a whole number'],
    [
      { retry: { backoff: 'linear' } },
      "`task(x).retry.backoff` must be 'exponential' or 'fixed', got linear (string).",
    ],
    [{ retry: { initial: -1 } }, '`task(x).retry.initial` must be a duration'],
    [{ retry: { jitter: 0.5 } }, '`task(x).retry.jitter` must be true or false, got 0.5 (number).'],
    [{ retry: { when: true } }, '`task(x).retry.when` must be a function, got true (boolean).'],
    [
      { retry: { attempt: 5 } },
      '`task(x).retry.attempt` must be left out: known are attempts, backoff, initial, max, jitter, when, got 5 (number).',
    ],
    [{ retry: 'often' }, '`task(x).retry` must be'],
    [{ retry: null }, '`task(x).retry` must be'],
    [{ retries: 5 }, '`task(x).retries` must be left out'],
  ])('%o', (part, message) => {
    expect(() => task({ name: 'x', run, ...part })).toThrow(
      expect.objectContaining({
        code: 'OFFSTAGE_BAD_OPTION',
        message: expect.stringContaining(message) as string,
      }) as Error,
    )
  })

  test.each([undefined, null, 5, 'mail', () => {}])('what is no definition at all: %o', (definition) => {
    expect(() => task(definition as never)).toThrow(expect.objectContaining({ code: 'OFFSTAGE_BAD_OPTION' }) as Error)
  })
})

test('a schema may be a function, as those of some libraries are', () => {
  const schema = Object.assign(() => {}, {
    '~standard': { version: 1 as const, vendor: 'test', validate: (value: unknown) => ({ value: value as string }) },
  })
  expect(policyOf(task({ name: 'x', input: schema, run: (text: string) => text }))?.input).toBe(schema)
})

test('only what task() made has a policy', () => {
  for (const other of [undefined, null, 5, 'x', {}, { name: 'x', durable: false, thread: false }, () => {}])
    expect(policyOf(other)).toBeUndefined()
})

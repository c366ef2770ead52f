import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { createOffstage, RunFailedError, task, TimeoutError, type RunEvent } from 'offstage'
import { turns } from '../setup/fake-clock.ts'
import { failure, gate, stage } from '../setup/stage.ts'

describe('retry', () => {
  test('a task that throws is tried as often as it says, each try told, the last reported', async () => {
    const { offstage, told, lines } = stage()
    const attempts: number[] = []
    const thrown: Error[] = []
    const flaky = task({
      name: 'flaky',
      retry: { attempts: 3, initial: 1 },
      run: (_: void, { attempt }) => {
        attempts.push(attempt)
        const error = new Error(`try ${attempt}`)
        thrown.push(error)
        throw error
      },
    })
    const handle = await offstage.start(flaky)
    const error = await failure(handle.result())
    expect(error).toBeInstanceOf(RunFailedError)
    expect(error).toMatchObject({ code: 'OFFSTAGE_RUN_FAILED', run: handle.id, task: 'flaky', cause: thrown[2] })
    expect(error.cause).toBe(thrown[2])
    expect(attempts).toEqual([1, 2, 3])
    expect(told.map(({ name }) => name)).toEqual([
      'run:started',
      'run:retried',
      'run:started',
      'run:retried',
      'run:started',
      'run:failed',
    ])
    expect(lines.map(({ level, fields }) => [level, fields['task'], fields['attempt'], fields['err']])).toEqual([
      ['warn', 'flaky', 1, thrown[0]],
      ['warn', 'flaky', 2, thrown[1]],
      ['error', 'flaky', 3, thrown[2]],
    ])
    expect(await handle.status()).toMatchObject({
      state: 'failed',
      reason: 'error',
      attempt: 3,
      tries: 3,
      maxAttempts: 3,
      error: { name: 'Error', message: 'try 3' },
    })
  })

  test('without a retry it is tried once', async () => {
    const { offstage } = stage()
    let tries = 0
    const fails = task({ name: 'fails', run: () => Promise.reject(new Error(`${++tries}`)) })
    await failure(offstage.execute(fails))
    expect(tries).toBe(1)
  })

  test('what is not worth another try gets none, and a policy that throws leaves the run failed, not hanging', async () => {
    const { offstage } = stage()
    const thrown = new Error('of the task')
    const broken = new Error('of the policy')
    let tries = 0
    const run = () => (tries++, Promise.reject(thrown))
    const never = task({ name: 'never', retry: { attempts: 5, when: () => false }, run })
    expect((await failure(offstage.execute(never))).cause).toBe(thrown)
    const throws = task({
      name: 'throws',
      retry: {
        attempts: 5,
        when: () => {
          throw broken
        },
      },
      run,
    })
    expect(await failure(offstage.execute(throws))).toMatchObject({ code: 'OFFSTAGE_RUN_FAILED' })
    const nonsense = task({ name: 'nonsense', retry: { attempts: 5, backoff: () => Number.NaN }, run })
    expect(await failure(offstage.execute(nonsense))).toMatchObject({ code: 'OFFSTAGE_RUN_FAILED' })
    expect(tries).toBe(3)
  })
})

describe('timeout', () => {
  test('code that heeds its signal ends with it; the run fails for want of time, and its cause is a TimeoutError', async () => {
    const { offstage } = stage()
    const reasons: unknown[] = []
    const slow = task({
      name: 'slow',
      timeout: 10,
      run: (_: void, { signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => (reasons.push(signal.reason), reject(new Error('my own words')))),
        ),
    })
    const handle = await offstage.start(slow)
    const error = await failure(handle.result())
    expect(error.code).toBe('OFFSTAGE_RUN_FAILED')
    expect(error.cause).toBeInstanceOf(TimeoutError)
    expect(reasons).toEqual([error.cause])
    expect(await handle.status()).toMatchObject({ state: 'failed', reason: 'timeout' })
  })

  test('code that never settles ends without it, and its place is free again', async () => {
    const { offstage } = stage({ memory: { concurrency: 1 } })
    const stuck = task({ name: 'stuck', timeout: 10, run: () => new Promise(() => {}) })
    const next = task({ name: 'next', run: () => 'went on' })
    const [, ended] = await Promise.all([failure(offstage.execute(stuck)), offstage.execute(next)])
    expect(ended).toBe('went on')
  })

  test('each try has the whole of it', async () => {
    const { offstage } = stage()
    const slow = task({
      name: 'slow',
      timeout: 20,
      retry: { attempts: 2, initial: 1 },
      run: async (_: void, { attempt, signal }) => {
        if (attempt === 1) await sleep(10_000, undefined, { signal })
        return 'in time'
      },
    })
    expect(await offstage.execute(slow)).toBe('in time')
  })

  test('what the code does after its attempt was given up changes nothing any more', async () => {
    const { offstage, told } = stage()
    const late = gate()
    const over = Promise.withResolvers<void>()
    const stuck = task({
      name: 'stuck',
      timeout: 5,
      run: async (_: void, ctx) => {
        await late.opened
        ctx.progress(0.9)
        ctx.emit('late')
        over.resolve()
        return 'late'
      },
    })
    const handle = await offstage.start(stuck)
    await failure(handle.result())
    const events = async (): Promise<readonly RunEvent[]> => {
      const all = []
      for await (const event of handle.events({ after: 0 })) all.push(event)
      return all
    }
    const before = [await handle.status(), await events()]
    const count = told.length
    late.open()
    await over.promise
    await turns()
    expect([await handle.status(), await events()]).toEqual(before)
    expect(told).toHaveLength(count)
  })
})

describe('cancel', () => {
  const waits = task({
    name: 'waits',
    run: (_: void, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  })

  test('before it began: canceled at once, and its code never runs', async () => {
    const { offstage, told } = stage()
    const quick = task({ name: 'quick', run: () => 1 })
    for (const options of [{}, { delay: '1h' }] as const) {
      const handle = await offstage.start(quick, undefined, options)
      expect(await handle.cancel('not wanted')).toBe('canceled')
      expect(await failure(handle.result())).toMatchObject({
        name: 'CanceledError',
        code: 'OFFSTAGE_CANCELED',
        message: 'The run was canceled: not wanted',
      })
      expect(await handle.status()).toMatchObject({
        state: 'canceled',
        reason: 'canceled',
        attempt: 0,
        error: { code: 'OFFSTAGE_CANCELED' },
      })
    }
    await turns()
    expect(told.map(({ name }) => name)).toEqual(['run:canceled', 'run:canceled'])
  })

  test('while it runs: its code is asked to stop, and what it throws then does not count', async () => {
    const { offstage, seen, lines } = stage()
    const handle = await offstage.start(waits)
    await seen('run:started')
    await turns()
    expect(await handle.cancel('enough')).toBe('canceling')
    expect(await failure(handle.result())).toMatchObject({
      code: 'OFFSTAGE_CANCELED',
      message: 'The run was canceled: enough',
    })
    expect(await handle.status()).toMatchObject({ state: 'canceled', cancelRequested: true, attempt: 1 })
    expect(lines).toEqual([])
  })

  test('afterwards: finished, and nothing changes; canceled before: canceled', async () => {
    const { offstage } = stage()
    const ended = await offstage.start(task({ name: 'quick', run: () => 1 }))
    await ended.result()
    const failed = await offstage.start(task({ name: 'fails', run: () => Promise.reject(new Error('x')) }))
    await failure(failed.result())
    for (const handle of [ended, failed]) {
      const before = await handle.status()
      expect(await handle.cancel()).toBe('finished')
      expect(await handle.status()).toEqual(before)
    }
    const canceled = await offstage.start(waits)
    expect([await canceled.cancel(), await canceled.cancel()]).toEqual(['canceled', 'canceled'])
  })

  test('code that ended with a result although it was canceled has done its work', async () => {
    const { offstage, seen } = stage()
    const held = gate()
    const handle = await offstage.start(task({ name: 'done', run: () => held.opened.then(() => 'done') }))
    await seen('run:started')
    expect(await handle.cancel()).toBe('canceling')
    held.open()
    expect(await handle.result()).toBe('done')
  })

  // From the start of a run that fails at its first try to its second: the cancel comes one microtask later each time, then one turn.
  const moments = [
    ...Array.from({ length: 25 }, (_, after) => ['microtasks', after] as const),
    ...Array.from({ length: 8 }, (_, after) => ['turns', after] as const),
  ]
  test.each(moments)(
    '%s %i after its code threw: the answer is true, and it is not tried again',
    async (unit, count) => {
      const { offstage } = stage()
      const threw = gate()
      let tries = 0
      const again = task({
        name: 'again',
        retry: { attempts: 1_000_000, initial: 1, jitter: false },
        run: async () => {
          tries++
          await Promise.resolve()
          threw.open()
          throw new Error('again')
        },
      })
      const handle = await offstage.start(again)
      await threw.opened
      if (unit === 'turns') await turns(count)
      else for (let n = 0; n < count; n++) await Promise.resolve()
      const triesBefore = tries
      const answer = await handle.cancel('race')
      const end = await failure(handle.result())
      const { state } = await handle.status()
      expect([answer, state, end.code]).toEqual([
        expect.stringMatching(/^cancel(?:ed|ing)$/),
        'canceled',
        'OFFSTAGE_CANCELED',
      ])
      expect(tries).toBe(triesBefore)
    },
  )

  test('of a run whose time is up already and whose code has not heeded it yet: it is not tried again', async () => {
    const { offstage } = stage()
    const late = gate()
    const timedOut = gate()
    const slow = task({
      name: 'slow',
      timeout: 5,
      retry: { attempts: 3, initial: 1 },
      run: async (_: void, { signal }) => {
        signal.addEventListener('abort', timedOut.open)
        await late.opened
        throw new Error('late')
      },
    })
    const handle = await offstage.start(slow)
    await timedOut.opened
    expect(await handle.cancel()).toBe('canceling')
    late.open()
    expect(await failure(handle.result())).toMatchObject({ code: 'OFFSTAGE_CANCELED' })
    expect(await handle.status()).toMatchObject({ state: 'canceled', attempt: 1 })
  })
})

describe('whatever is thrown (F50), one failed attempt is recorded and reported, and the process lives:', () => {
  class MessageThrows extends Error {
    override get message(): string {
      throw new Error('of the getter')
    }
  }
  class StackThrows extends Error {
    override get stack(): string {
      throw new Error('of the getter')
    }
  }
  const cyclic = new Error('cyclic')
  cyclic.cause = cyclic
  const hostile = new Proxy(
    {},
    {
      get: () => cyclic.cause,
      getPrototypeOf: () => {
        throw new Error('of the trap')
      },
    },
  )
  const { proxy: revoked, revoke } = Proxy.revocable({}, {})
  revoke()
  const bareFunction = Object.setPrototypeOf(() => {}, null) as () => void

  test.each([
    ['null', null, 'null'],
    ['undefined', undefined, 'undefined'],
    ['an empty text', '', ''],
    ['a symbol', Symbol('s'), 'Symbol(s)'],
    ['a bigint', 5n, '5'],
    ['an object without a prototype', Object.create(null), undefined],
    ['a function without a prototype', bareFunction, undefined],
    ['a message of 10 MB', new Error('x'.repeat(10_000_000)), undefined],
    ['a cause that is itself', cyclic, 'cyclic'],
    ['a message that throws', new MessageThrows(), undefined],
    ['a stack that throws', new StackThrows('here'), 'here'],
    ['a name that is a symbol', Object.assign(new Error('here'), { name: Symbol('s') }), 'here'],
    ['a hostile proxy', hostile, undefined],
    ['a revoked proxy', revoked, undefined],
    [
      'a code that is no text',
      Object.assign(new Error('here'), {
        code: {
          toString: () => {
            throw new Error('x')
          },
        },
      }),
      'here',
    ],
  ])('%s', async (_, thrown, message) => {
    const { offstage, told, lines } = stage()
    const throws = task({
      name: 'throws',
      run: () => {
        throw thrown
      },
    })
    const handle = await offstage.start(throws)
    const error = await failure(handle.result())
    expect(error).toBeInstanceOf(RunFailedError)
    expect(error.cause === thrown).toBe(true)
    expect(error.message.length).toBeLessThan(10_000)
    const { state, attempt, error: record } = await handle.status()
    expect({ state, attempt }).toEqual({ state: 'failed', attempt: 1 })
    expect(record?.message.length).toBeLessThanOrEqual(8_192)
    expect((record?.stack ?? '').length).toBeLessThanOrEqual(32_768)
    if (message !== undefined) expect(record?.message).toBe(message)
    expect(told.filter(({ name }) => name === 'run:failed')).toHaveLength(1)
    expect(lines.map(({ level, fields }) => [level, fields['task']])).toEqual([['error', 'throws']])
  })

  test('and the default logger prints each with the name of its task', async () => {
    const printed: string[] = []
    const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => (printed.push(String(text)), true))
    try {
      const offstage = createOffstage({ store: 'memory:', shutdown: { signals: false } })
      const throws = task({ name: 'throws', run: (make: () => unknown) => Promise.reject(make()) })
      for (const thrown of [null, Object.create(null), new StackThrows('x'), revoked, bareFunction, Symbol('s')])
        await failure(offstage.execute(throws, () => thrown))
      await offstage.close()
    } finally {
      write.mockRestore()
    }
    expect(printed).toHaveLength(6)
    for (const line of printed) expect(line).toMatch(/^offstage error: The task "throws" failed\./)
  })

  test('and a logger that throws takes nothing down', async () => {
    const broken = () => {
      throw new Error('the disk is full')
    }
    const { offstage } = stage({ logger: { debug: broken, info: broken, warn: broken, error: broken } })
    const throws = task({
      name: 'throws',
      retry: { attempts: 2, initial: 1 },
      run: () => Promise.reject(new Error('x')),
    })
    expect(await failure(offstage.execute(throws))).toMatchObject({ code: 'OFFSTAGE_RUN_FAILED' })
    expect(await offstage.execute(task({ name: 'next', run: () => 'went on' }))).toBe('went on')
  })
})

test('a listener that throws stops neither the run nor the other listeners, and is told to the logger', async () => {
  const { offstage, told, lines } = stage()
  const broken = new Error('of a listener')
  const off = offstage.on('run:started', () => {
    throw broken
  })
  expect(await offstage.execute(task({ name: 'quick', run: () => 1 }))).toBe(1)
  expect(told.map(({ name }) => name)).toEqual(['run:started', 'run:succeeded'])
  expect(lines).toEqual([{ level: 'error', fields: { err: broken }, message: 'A listener threw.' }])
  off()
  await offstage.execute(task({ name: 'quick', run: () => 1 }))
  expect(lines).toHaveLength(1)
})

test('a listener whose promise rejects ends nothing, and is told to the logger as one that throws', async () => {
  const { offstage, lines } = stage()
  const broken = new Error('of a listener')
  // oxlint-disable-next-line typescript/no-misused-promises -- it is what is tested
  offstage.on('run:started', async () => {
    throw broken
  })
  expect(await offstage.execute(task({ name: 'quick', run: () => 1 }))).toBe(1)
  await turns()
  expect(lines).toEqual([{ level: 'error', fields: { err: broken }, message: 'A listener threw.' }])
})

test('no line that is logged holds what a run was given, or came to', async () => {
  const { offstage, lines } = stage()
  const flaky = task({
    name: 'flaky',
    retry: { attempts: 2, initial: 1 },
    run: (_given: { secret: string }, ctx) => {
      ctx.emit('canary-output')
      ctx.progress({ done: 1, message: 'canary-progress' })
      if (ctx.attempt === 1) throw new Error('no')
      return 'canary-result'
    },
  })
  await offstage.execute(flaky, { secret: 'canary-input' })
  await failure(
    offstage.execute(task({ name: 'fails', run: (_given: string) => Promise.reject(new Error('no')) }), 'canary-input'),
  )
  expect(lines).toHaveLength(2)
  expect(JSON.stringify(lines)).not.toContain('canary')
})

test('what needs a durable run is refused in one that is not, with the name of the task', async () => {
  const { offstage } = stage()
  const steps = task({
    name: 'steps',
    run: async (_: void, ctx) => {
      const durable = ctx as unknown as {
        step(name: string, fn: () => number): Promise<number>
        sleep(name: string, ms: number): Promise<void>
        waitFor(name: string): Promise<void>
      }
      return [
        await failure(durable.step('a', () => 1)),
        await failure(durable.sleep('b', 1)),
        await failure(durable.waitFor('c')),
      ].map(({ code, message }) => [code, message.includes('"steps"')])
    },
  })
  expect(await offstage.execute(steps)).toEqual(Array.from({ length: 3 }, () => ['OFFSTAGE_NOT_DURABLE', true]))
})

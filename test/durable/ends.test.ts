import { describe, expect, test } from 'vitest'
import { RunFailedError, task, TimeoutError, type Run } from 'offstage'
import { turns } from '../setup/fake-clock.ts'
import { failure, gate } from '../setup/stage.ts'
import { STORES, useFiles } from '../setup/stores.ts'
import { instances } from './instance.ts'

useFiles()

describe.each(STORES)('durable runs, kept in %s:', (_, newPlace) => {
  const instance = instances(newPlace)

  describe('retry', () => {
    test('a task that throws is tried again until it ends, each try told, its number and error on record', async () => {
      const attempts: number[] = []
      const flaky = task({
        name: 'flaky',
        durable: true,
        retry: { attempts: 3, initial: 1 },
        run: (_: void, { attempt }) => {
          attempts.push(attempt)
          if (attempt < 3) throw Object.assign(new TypeError(`try ${attempt}`, { cause: 'why' }), { code: 'E_FLAKY' })
          return 'at last'
        },
      })
      const { offstage, told, lines } = instance([flaky])
      const handle = await offstage.start(flaky)
      expect(await handle.result()).toBe('at last')
      expect(attempts).toEqual([1, 2, 3])
      expect(told.map(({ name }) => name)).toEqual([
        'run:started',
        'run:retried',
        'run:started',
        'run:retried',
        'run:started',
        'run:succeeded',
      ])
      expect(lines.map(({ level, fields }) => [level, fields['task'], fields['attempt']])).toEqual([
        ['warn', 'flaky', 1],
        ['warn', 'flaky', 2],
      ])
      const status = await handle.status()
      expect(status).toMatchObject({ state: 'succeeded', attempt: 3, tries: 3, reason: null, result: 'at last' })
      expect(status).not.toHaveProperty('error')
    })

    test('a run whose tries are spent fails; what was thrown is the cause here, and revived for another instance', async () => {
      const thrown = Object.assign(new TypeError('no good', { cause: new RangeError('deeper') }), { code: 'E_BAD' })
      const spent = task({
        name: 'spent',
        durable: true,
        retry: { attempts: 2, initial: 1 },
        run: () => Promise.reject(thrown),
      })
      const { offstage, place, lines } = instance([spent])
      const handle = await offstage.start(spent)
      const error = await failure(handle.result())
      expect(error).toBeInstanceOf(RunFailedError)
      expect(error.cause).toBe(thrown)
      const elsewhere = await failure(
        instance([spent], { place, worker: false }).offstage.handle(spent, handle.id).result(),
      )
      expect(elsewhere).toMatchObject({
        code: 'OFFSTAGE_RUN_FAILED',
        run: handle.id,
        task: 'spent',
        cause: {
          name: 'TypeError',
          message: 'no good',
          code: 'E_BAD',
          stack: thrown.stack,
          cause: { name: 'RangeError', message: 'deeper' },
        },
      })
      expect(await handle.status()).toMatchObject({
        state: 'failed',
        reason: 'error',
        attempt: 2,
        tries: 2,
        maxAttempts: 2,
        error: { name: 'TypeError', message: 'no good', code: 'E_BAD' },
      })
      expect(lines.map(({ level }) => level)).toEqual(['warn', 'error'])
    })

    test('what is not worth another try gets none', async () => {
      let tries = 0
      const fails = task({
        name: 'fails',
        durable: true,
        retry: { when: (error) => !(error instanceof TypeError) },
        run: () => (tries++, Promise.reject(new TypeError('never'))),
      })
      const { offstage } = instance([fails])
      await failure(offstage.execute(fails))
      expect(tries).toBe(1)
    })

    test('a result that is no JSON, or too large, is a failed try that names the place', async () => {
      const results: unknown[] = [{ rows: [new Date(0)] }, 'x'.repeat(200)]
      const gives = task({ name: 'gives', durable: true, retry: 1, run: (n: number) => results[n] as string })
      const { offstage } = instance([gives], { limits: { result: 100 } })
      expect((await failure(offstage.execute(gives, 0))).cause).toMatchObject({
        code: 'OFFSTAGE_NOT_SERIALIZABLE',
        path: ['rows', 0],
        message: expect.stringContaining('The result of the task "gives"') as string,
      })
      const { cause } = await failure(offstage.execute(gives, 1))
      expect(cause).toMatchObject({ code: 'OFFSTAGE_PAYLOAD_TOO_LARGE' })
    })
  })

  describe('timeout', () => {
    test('an attempt whose time is up is told so, and is tried again; at the last try the run fails for want of time', async () => {
      const reasons: unknown[] = []
      const slow = task({
        name: 'slow',
        durable: true,
        timeout: 15,
        retry: { attempts: 2, initial: 1 },
        run: (_: void, { signal }) =>
          new Promise<void>((_resolve, reject) =>
            signal.addEventListener('abort', () => (reasons.push(signal.reason), reject(new Error('mine')))),
          ),
      })
      const { offstage, told } = instance([slow])
      const handle = await offstage.start(slow)
      expect((await failure(handle.result())).cause).toBeInstanceOf(TimeoutError)
      expect(reasons.map((reason) => reason instanceof TimeoutError)).toEqual([true, true])
      expect(told.map(({ name }) => name)).toEqual(['run:started', 'run:retried', 'run:started', 'run:failed'])
      expect(await handle.status()).toMatchObject({
        state: 'failed',
        reason: 'timeout',
        attempt: 2,
        error: { code: 'OFFSTAGE_TIMEOUT' },
      })
    })
  })

  describe('cancel', () => {
    const waits = task({
      name: 'waits',
      durable: true,
      run: (_: void, { signal }) =>
        new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    })

    test('of a run that waits ends it at once; its code never runs', async () => {
      const { offstage, told } = instance([waits])
      const handle = await offstage.start(waits, undefined, { delay: '1h' })
      expect(await handle.cancel('not wanted')).toBe('canceled')
      expect(await failure(handle.result())).toMatchObject({
        name: 'CanceledError',
        code: 'OFFSTAGE_CANCELED',
        message: 'The run was canceled: not wanted',
      })
      expect(await handle.status()).toMatchObject({ state: 'canceled', reason: 'canceled', attempt: 0 })
      expect(told).toEqual([])
    })

    test('of a run that runs asks its code to stop; it ends canceled whatever its code throws, and is not tried again', async () => {
      const { offstage, told, seen } = instance([waits])
      const handle = await offstage.start(waits)
      await seen('run:started')
      await turns()
      expect(await handle.cancel('enough')).toBe('canceling')
      expect(await failure(handle.result())).toMatchObject({
        code: 'OFFSTAGE_CANCELED',
        message: 'The run was canceled: enough',
      })
      expect(await handle.status()).toMatchObject({
        state: 'canceled',
        reason: 'canceled',
        cancelRequested: true,
        attempt: 1,
      })
      await seen('run:canceled')
      expect(told.map(({ name }) => name)).toEqual(['run:started', 'run:canceled'])
    })

    test('by another instance reaches the code that runs here', async () => {
      const { offstage, seen, place } = instance([waits])
      const other = instance([waits], { worker: false, place })
      const handle = await offstage.start(waits)
      await seen('run:started')
      expect(await other.offstage.handle(waits, handle.id).cancel('from elsewhere')).toBe('canceling')
      expect(await failure(handle.result())).toMatchObject({ code: 'OFFSTAGE_CANCELED' })
      expect(await failure(other.offstage.handle(waits, handle.id).result())).toMatchObject({
        code: 'OFFSTAGE_CANCELED',
      })
    })

    test('of a run that has ended changes nothing and says so; of one that is unknown, that it is', async () => {
      const quick = task({ name: 'quick', durable: true, run: () => 1 })
      const { offstage } = instance([quick, waits])
      const handle = await offstage.start(quick)
      await handle.result()
      const before = await handle.status()
      expect(await handle.cancel()).toBe('finished')
      expect(await handle.status()).toEqual(before)
      const canceled = await offstage.start(waits, undefined, { delay: '1h' })
      expect([await canceled.cancel(), await canceled.cancel()]).toEqual(['canceled', 'canceled'])
      expect(await failure(offstage.handle(quick, '01a20591-568e-7910-9286-c16a66a51fae').cancel())).toMatchObject({
        code: 'OFFSTAGE_RUN_NOT_FOUND',
      })
    })

    test('code that ended with a result although it was canceled has done its work', async () => {
      const held = gate()
      const stubborn = task({ name: 'stubborn', durable: true, run: () => held.opened.then(() => 'done') })
      const { offstage, seen } = instance([stubborn])
      const handle = await offstage.start(stubborn)
      await seen('run:started')
      expect(await handle.cancel()).toBe('canceling')
      held.open()
      expect(await handle.result()).toBe('done')
      expect(await handle.status()).toMatchObject({ state: 'succeeded', result: 'done' })
    })

    test('of a run whose time is up, and whose code has not heeded it yet: it ends canceled, and is not tried again', async () => {
      const late = gate()
      const timedOut = gate()
      let tries = 0
      const slow = task({
        name: 'slow',
        durable: true,
        timeout: 5,
        retry: { attempts: 1_000, initial: 1 },
        run: async (_: void, { signal }) => {
          tries++
          signal.addEventListener('abort', timedOut.open)
          await late.opened
          throw new Error('late')
        },
      })
      const { offstage } = instance([slow])
      const handle = await offstage.start(slow)
      await timedOut.opened
      expect(['canceling', 'canceled']).toContain(await handle.cancel())
      const before = tries
      late.open()
      expect(await failure(handle.result())).toMatchObject({ code: 'OFFSTAGE_CANCELED' })
      expect(await handle.status()).toMatchObject({ state: 'canceled' })
      expect(tries).toBe(before)
    })

    test('at every moment of a run answers what is true (F55)', async () => {
      const again = task({
        name: 'again',
        durable: true,
        retry: { attempts: 3, initial: 1 },
        run: async (_: void, ctx) => {
          await ctx.step('a', () => 1)
          if (ctx.attempt === 1) throw new Error('once')
          return 'done'
        },
      })
      const { offstage, told } = instance([again], { worker: { concurrency: 3 } })
      const races = Array.from({ length: 60 }, async (_item, moment) => {
        const handle = await offstage.start(again)
        await turns(moment)
        const answer = await handle.cancel('race')
        const told_ = await handle.status()
        const end = await handle.result().catch((error: unknown) => error)
        const last = await handle.status()
        return { answer, told: told_, end, last }
      })
      for (const { answer, told: at, end, last } of await Promise.all(races)) {
        expect(last.done).toBe(true)
        if (at.done) expect(last.state).toBe(at.state)
        if (answer === 'canceled') expect([at.state, last.state]).toEqual(['canceled', 'canceled'])
        if (answer === 'finished') expect([at.state, last.state]).toEqual(['succeeded', 'succeeded'])
        if (answer === 'canceling') expect(['canceled', 'succeeded']).toContain(last.state)
        expect('result' in last).toBe(last.state === 'succeeded')
        if (last.state === 'succeeded') expect(end).toBe('done')
        else expect(end).toMatchObject({ code: 'OFFSTAGE_CANCELED' })
      }
      // Nothing was told twice of any run, and nothing began after its end.
      const ends = told
        .filter(({ name }) => name === 'run:succeeded' || name === 'run:canceled')
        .map(({ event }) => (event as { run: Run }).run.id)
      expect(new Set(ends).size).toBe(ends.length)
    })
  })
})

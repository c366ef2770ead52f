import { describe, expect, test } from 'vitest'
import { task } from 'offstage'
import { CanceledError, FencedError, ShutdownError, TimeoutError } from '../../src/core/errors.ts'
import { policyOf, type AnyTask } from '../../src/core/task.ts'
import { Ending } from '../../src/runtime/ending.ts'
import type { Call, Executor } from '../../src/runtime/executor.ts'
import { perform } from '../../src/runtime/perform.ts'
import { FakeClock } from '../setup/fake-clock.ts'

/** Runs nothing by itself: what it was given, and how it ends, is the test's. */
function stage(given: AnyTask) {
  const clock = new FakeClock()
  const ending = new Ending()
  const { promise, resolve } = Promise.withResolvers<unknown>()
  const { promise: called, resolve: tell } = Promise.withResolvers<Call>()
  const executor: Executor = {
    free: 1,
    run: (call) => (tell(call), promise),
    leave() {},
    enter() {},
    close: async () => {},
  }
  const policy = policyOf(given)!
  const claim = { run: 'r', attempt: 1 }
  const verdict = perform(
    {
      call: { claim, task: policy, input: undefined, context: {} as Call['context'] },
      trial: { retry: policy.retry, onCrash: 'retry', maxAttempts: 1, tries: 1 },
      ending,
      origin: { claim, task: policy.name, report() {} },
      keep: (value) => value,
    },
    { executor, clock, random: { runId: () => '', instanceId: () => '', fraction: () => 0 } },
  )
  return { clock, ending, called, returns: resolve, verdict }
}

describe('the time of an attempt', () => {
  test('counts from the code for a run in memory: waiting for a thread is not its doing', async () => {
    const { clock, ending, called, returns, verdict } = stage(task({ name: 'm', timeout: '1s', run: () => 1 }))
    const { begins } = await called
    await clock.advance(5_000)
    expect(ending.reason).toBeUndefined()
    begins?.()
    await clock.advance(999)
    expect(ending.reason).toBeUndefined()
    await clock.advance(1)
    expect(ending.reason).toBeInstanceOf(TimeoutError)
    returns('late')
    expect((await verdict).outcome).toEqual({ kind: 'succeeded', result: 'late' })
  })

  test('counts from its claim for a durable run', async () => {
    const { clock, ending, verdict } = stage(task({ name: 'd', durable: true, timeout: '1s', retry: 1, run: () => 1 }))
    await clock.advance(1_000)
    expect(ending.reason).toBeInstanceOf(TimeoutError)
    // The code heeds nothing: half a second later the attempt ends without it.
    await clock.advance(500)
    expect((await verdict).outcome).toMatchObject({ kind: 'failed', reason: 'timeout' })
  })

  test('is not given up on a thread before the thread has been ended: no other attempt may run beside it', async () => {
    const { clock, verdict } = stage(
      task({ name: 't', thread: true, durable: true, timeout: '1s', retry: 1, run: () => 1 }),
    )
    let isOver = false
    void verdict.then(() => (isOver = true))
    await clock.advance(1_849)
    expect(isOver).toBe(false)
    await clock.advance(1)
    expect((await verdict).outcome).toMatchObject({ kind: 'failed', reason: 'timeout' })
  })

  test.each([
    ['a cancel', new CanceledError(), { loop: 10_000, thread: 10_000 }],
    ['a shutdown', new ShutdownError(), { loop: 500, thread: 1_500 }],
    ['the loss of its run', new FencedError('r#1'), { loop: 1, thread: 1_500 }],
    ['a timeout', new TimeoutError('late'), { loop: 500, thread: 850 }],
  ] as const)('is over at some time after %s, whatever the code does', async (_, reason, patience) => {
    for (const where of ['loop', 'thread'] as const) {
      const { clock, ending, verdict } = stage(task({ name: 't', thread: where === 'thread', run: () => 1 }))
      let isOver = false
      void verdict.then(() => (isOver = true))
      ending.abort(reason)
      await clock.advance(patience[where] - 1)
      expect(isOver).toBe(false)
      await clock.advance(1)
      expect(isOver).toBe(true)
    }
  })

  test('leaves no timer behind', async () => {
    const { clock, ending, returns, verdict } = stage(task({ name: 'd', durable: true, timeout: '1h', run: () => 1 }))
    ending.abort(new CanceledError())
    expect(clock.armed).toBe(2)
    returns(1)
    await verdict
    expect(clock.armed).toBe(0)
  })
})

describe('code that waits', () => {
  const parking = { kind: 'parked', name: 'offstage:sleep:a', after: 1, at: null, signal: null } as const
  const sleeper = task({ name: 'd', durable: true, timeout: '1h', retry: 1, run: () => 1 })

  test('ends its attempt there, and leaves no timer behind', async () => {
    const { clock, ending, called, verdict } = stage(sleeper)
    await called
    ending.park(parking)
    expect(await verdict).toEqual({ outcome: parking, thrown: undefined })
    expect(clock.armed).toBe(0)
  })

  test('and returns meanwhile has returned; what it says afterwards is nothing', async () => {
    const { ending, returns, verdict } = stage(sleeper)
    returns('done')
    const { outcome } = await verdict
    ending.park(parking)
    expect(outcome).toEqual({ kind: 'succeeded', result: 'done' })
  })

  test('is not told to stop by what comes too late: it has given its run back', async () => {
    const { ending, called, verdict } = stage(sleeper)
    await called
    ending.park(parking)
    ending.abort(new TimeoutError('late'))
    expect((await verdict).outcome).toBe(parking)
  })
})

import { describe, expect, test } from 'vitest'
import { task } from 'offstage'
import { CanceledError, TimeoutError } from '../../src/core/errors.ts'
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
    await clock.advance(2_499)
    expect(isOver).toBe(false)
    await clock.advance(1)
    expect((await verdict).outcome).toMatchObject({ kind: 'failed', reason: 'timeout' })
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

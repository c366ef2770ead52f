import { describe, expect, test } from 'vitest'
import { CanceledError, RunFailedError, TimeoutError } from 'offstage'
import type { RunEnd, Runs } from '../../src/core/runs.ts'
import { createHandle } from '../../src/runtime/handle.ts'
import { FakeClock, turns } from '../setup/fake-clock.ts'
import { failure } from '../setup/stage.ts'

const ID = '01a20591-568e-7910-9286-c16a66a51fae'

function held(runs: Partial<Runs> = {}, lend = <T>(wait: () => Promise<T>): Promise<T> => wait()) {
  const clock = new FakeClock()
  const cancels: unknown[] = []
  const unused = async (): Promise<never> => expect.unreachable()
  const all: Runs = {
    details: unused,
    list: unused,
    tally: unused,
    rerun: unused,
    remove: unused,
    signal: unused,
    get: async () => undefined,
    cancel: async (id, reason) => (cancels.push([id, reason]), undefined),
    ended: async () => undefined,
    watch: async function* () {},
    ...runs,
  }
  const handle = createHandle<number>({
    runs: all,
    clock,
    task: 'report',
    started: { id: ID, disposition: 'created' },
    lend,
  })
  return { clock, cancels, handle }
}

/** As keepers do it: settles with the end, rejects with the signal's reason. */
const endsWhen =
  (end: Promise<RunEnd | undefined>): Runs['ended'] =>
  (_, signal) => {
    const { promise, reject } = Promise.withResolvers<never>()
    if (signal?.aborted) reject(signal.reason)
    signal?.addEventListener('abort', () => reject(signal.reason))
    return Promise.race([end, promise])
  }

test('a run that nobody knows is not found, in whatever is asked of it', async () => {
  const { handle } = held()
  for (const asked of [handle.status(), handle.result(), handle.cancel()])
    expect(await failure(asked)).toMatchObject({
      code: 'OFFSTAGE_RUN_NOT_FOUND',
      message: expect.stringContaining(ID) as string,
    })
  for await (const _ of handle.events()) expect.unreachable()
})

test.each([
  [{ state: 'succeeded', result: undefined }, undefined],
  [{ state: 'succeeded', result: 0 }, 0],
] as const)('the result of %o', async (end, result) => {
  expect(await held({ ended: async () => end }).handle.result()).toBe(result)
})

test('the result of a failed run is a RunFailedError around what was thrown; that of a canceled one is what canceled it', async () => {
  const thrown = new TypeError('no')
  const failed = await failure(
    held({ ended: async () => ({ state: 'failed', reason: 'error', error: thrown }) }).handle.result(),
  )
  expect(failed).toBeInstanceOf(RunFailedError)
  expect(failed).toMatchObject({
    run: ID,
    task: 'report',
    cause: thrown,
    message: expect.stringMatching(/"report" failed: no/) as string,
  })
  const why = new CanceledError('enough')
  expect(await failure(held({ ended: async () => ({ state: 'canceled', error: why }) }).handle.result())).toBe(why)
  const timedOut = await failure(
    held({
      ended: async () => ({ state: 'failed', reason: 'timeout', error: new TimeoutError('an hour') }),
    }).handle.result(),
  )
  expect(timedOut).toBeInstanceOf(RunFailedError)
  expect(timedOut.cause).toBeInstanceOf(TimeoutError)
})

describe('a wait that ends before the run', () => {
  test('by its timeout rejects with a TimeoutError, asks for no cancel, and leaves no timer', async () => {
    const end = Promise.withResolvers<RunEnd>()
    const { handle, clock, cancels } = held({ ended: endsWhen(end.promise) })
    const waiting = failure(handle.result({ timeout: '2s' }))
    await clock.advance(1_999)
    expect(clock.armed).toBe(1)
    await clock.advance(1)
    expect(await waiting).toMatchObject({
      name: 'TimeoutError',
      code: 'OFFSTAGE_TIMEOUT',
      message: expect.stringContaining('goes on') as string,
    })
    expect(cancels).toEqual([])
    const again = handle.result({ timeout: '2s' })
    end.resolve({ state: 'succeeded', result: 5 })
    expect(await again).toBe(5)
    expect(clock.armed).toBe(0)
  })

  test('by its signal rejects with its reason, whichever of the two comes first', async () => {
    const { handle, clock, cancels } = held({ ended: endsWhen(new Promise(() => {})) })
    const controller = new AbortController()
    const waiting = failure(handle.result({ timeout: 1_000, signal: controller.signal }))
    await turns()
    controller.abort(new Error('left'))
    expect(await waiting).toMatchObject({ message: 'left' })
    expect(clock.armed).toBe(0)
    expect(await failure(handle.result({ signal: AbortSignal.abort(new Error('before')) }))).toMatchObject({
      message: 'before',
    })
    expect(cancels).toEqual([])
  })

  test.each([-1, '5', Number.NaN, null])('a timeout of %o is refused', async (timeout) => {
    const { handle } = held({ ended: endsWhen(new Promise(() => {})) })
    expect(await failure(handle.result({ timeout: timeout as never }))).toMatchObject({
      code: 'OFFSTAGE_BAD_OPTION',
      message: expect.stringContaining('`result.timeout`') as string,
    })
  })
})

test("a parent's place is lent for the wait for a result, and for nothing else", async () => {
  let lent = 0
  const lend = <T>(wait: () => Promise<T>): Promise<T> => (lent++, wait())
  const { handle } = held(
    { ended: async () => ({ state: 'succeeded', result: 1 }), cancel: async () => 'finished' },
    lend,
  )
  await handle.cancel()
  await failure(handle.status())
  expect(lent).toBe(0)
  await handle.result()
  expect(lent).toBe(1)
})

test.each([Number.NaN, -1, 1.5, '1', null])(
  'a position that is no number of an event (%o) is refused, not read as something else',
  async (after) => {
    const { handle } = held()
    const read = async (): Promise<void> => {
      for await (const _ of handle.events({ after: after as never })) expect.unreachable()
    }
    expect(await failure(read())).toMatchObject({
      code: 'OFFSTAGE_BAD_OPTION',
      message: expect.stringContaining('`events.after`') as string,
    })
  },
)

test('what is asked goes to the keeper with the id, the reason and the options', async () => {
  const asked: unknown[] = []
  const { handle } = held({
    cancel: async (...args) => (asked.push(args), 'canceling'),
    watch: (...args) => (asked.push(args), (async function* () {})()),
  })
  expect(await handle.cancel('enough')).toBe('canceling')
  for await (const _ of handle.events({ after: 3 })) expect.unreachable()
  expect(asked).toEqual([
    [ID, 'enough'],
    [ID, { after: 3 }],
  ])
  expect(Object.isFrozen(handle)).toBe(true)
  expect(handle).toMatchObject({ id: ID, task: 'report', disposition: 'created' })
})

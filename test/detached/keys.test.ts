import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { task } from 'offstage'
import { failure, gate, stage } from '../setup/stage.ts'

const begun: unknown[] = []
const mail = task({ name: 'mail', run: (given: unknown) => void begun.push(given) })
const other = task({ name: 'other', run: (given: unknown) => void begun.push(given) })
const KEY = { idempotencyKey: 'k1' }

beforeEach(() => void begun.splice(0))

describe('a start in memory with an idempotency key', () => {
  test('comes to one run, waiting, running or ended, and its code is called once', async () => {
    const { offstage } = stage()
    const open = gate()
    const slow = task({ name: 'slow', run: async () => (begun.push(1), await open.opened, 'done') })
    const first = await offstage.start(slow, undefined, KEY)
    const waiting = await offstage.start(slow, undefined, KEY)
    await new Promise((resolve) => setImmediate(resolve))
    const running = await offstage.start(slow, undefined, KEY)
    open.open()
    await first.result()
    const ended = await offstage.start(slow, undefined, KEY)
    expect([first, waiting, running, ended].map(({ disposition }) => disposition)).toEqual([
      'created',
      'existing',
      'existing',
      'existing',
    ])
    expect(new Set([first, waiting, running, ended].map(({ id }) => id)).size).toBe(1)
    expect(await ended.result()).toBe('done')
    expect(begun).toEqual([1])
  })

  test('with the keys of its input in another order is the same start', async () => {
    const { offstage } = stage()
    const first = await offstage.start(mail, { a: 1, b: { c: 2, d: 3 } }, KEY)
    expect(await offstage.start(mail, { b: { d: 3, c: 2 }, a: 1 }, KEY)).toMatchObject({
      id: first.id,
      disposition: 'existing',
    })
  })

  test('with another input is refused, and nothing is started', async () => {
    const { offstage } = stage()
    const first = await offstage.start(mail, { a: 1 }, KEY)
    expect(await failure(offstage.start(mail, { a: 2 }, KEY))).toMatchObject({
      code: 'OFFSTAGE_IDEMPOTENCY_MISMATCH',
      message: expect.stringContaining(first.id) as string,
    })
    expect((await offstage.runs.tally()).total).toBe(1)
  })

  test.each([
    ['another key', mail, { idempotencyKey: 'k2' }],
    ['another owner', mail, { ...KEY, owner: 'ann' }],
    ['another task', other, KEY],
  ])('of %s is another start', async (_, what, options) => {
    const { offstage } = stage()
    const first = await offstage.start(mail, { a: 1 }, KEY)
    const second = await offstage.start(what, { a: 1 }, options)
    expect(second.disposition).toBe('created')
    expect(second.id).not.toBe(first.id)
  })

  test('finds its run where nothing more may wait', async () => {
    const { offstage } = stage({ memory: { capacity: 1 } })
    const first = await offstage.start(mail, 1, { ...KEY, delay: '1h' })
    expect(await failure(offstage.start(mail, 1))).toMatchObject({ code: 'OFFSTAGE_OVERLOADED' })
    expect(await offstage.start(mail, 1, KEY)).toMatchObject({ id: first.id, disposition: 'existing' })
  })

  test('begins anew once its run was removed', async () => {
    const { offstage } = stage()
    const first = await offstage.start(mail, 1, KEY)
    await first.result()
    await offstage.runs.remove(first.id)
    expect(await offstage.start(mail, 2, KEY)).toMatchObject({ disposition: 'created' })
  })

  test('of several inputs is refused: a key is of one run', async () => {
    const { offstage } = stage()
    expect(await failure(offstage.startMany(mail, [1, 2], KEY))).toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
    expect((await offstage.runs.tally()).total).toBe(0)
  })
})

describe('the time of a key', () => {
  beforeEach(() => {
    const { eventLoopUtilization } = performance
    vi.useFakeTimers({ toFake: ['Date', 'performance'] })
    Object.assign(performance, { eventLoopUtilization }) // the fake one has none
  })
  afterEach(() => void vi.useRealTimers())

  test('is 24 hours, of a run that waits longer than that', async () => {
    const { offstage } = stage()
    const first = await offstage.start(mail, 1, { ...KEY, delay: '48h' })
    vi.advanceTimersByTime(86_399_999)
    expect(await offstage.start(mail, 1, KEY)).toMatchObject({ id: first.id })
    vi.advanceTimersByTime(1)
    const second = await offstage.start(mail, 2, KEY)
    expect(second.disposition).toBe('created')
    await second.result()
    await first.cancel()
    await offstage.runs.remove(first.id)
    expect(await offstage.start(mail, 2, KEY)).toMatchObject({ id: second.id, disposition: 'existing' })
  })

  test('ends with the memory of its run', async () => {
    const { offstage } = stage()
    await (await offstage.start(mail, 1, KEY)).result()
    vi.advanceTimersByTime(600_000)
    expect(await offstage.start(mail, 2, KEY)).toMatchObject({ disposition: 'created' })
  })
})

test('a start in memory that brings a transaction is refused', async () => {
  const { offstage } = stage()
  expect(await failure(offstage.start(mail, 1, { tx: {} }))).toMatchObject({ code: 'OFFSTAGE_NOT_DURABLE' })
  expect(begun).toEqual([])
})

import { describe, expect, test } from 'vitest'
import { task } from 'offstage'
import { failure, gate, stage } from '../setup/stage.ts'

const NOBODY = '01a20592-0000-7000-8000-000000000000'
const echo = task({ name: 'echo', run: (given: unknown) => given })

describe('the details of a run in memory', () => {
  test('waiting, running, succeeded: its input, and its latest attempt', async () => {
    const { offstage } = stage({ memory: { concurrency: 1 } })
    const open = gate()
    const slow = task({ name: 'slow', run: async (given: { n: number }) => (await open.opened, given.n) })
    const handle = await offstage.start(slow, { n: 1 })
    expect(await offstage.runs.details(handle.id)).toMatchObject({ run: { state: 'waiting' }, attempts: [], steps: [] })
    const next = await offstage.start(slow, { n: 2 })
    await offstage.runs.get(next.id)
    await new Promise((resolve) => setImmediate(resolve))
    const running = await offstage.runs.details(handle.id)
    expect(running).toMatchObject({
      input: { n: 1 },
      attempts: [{ attempt: 1, came: 'running', endedAt: null, logs: [] }],
    })
    open.open()
    await handle.result()
    const { run, attempts } = (await offstage.runs.details(handle.id))!
    expect(run).toEqual(await handle.status())
    expect(attempts).toEqual([
      { attempt: 1, came: 'succeeded', instance: null, startedAt: run.startedAt, endedAt: run.finishedAt, logs: [] },
    ])
    expect(await offstage.runs.details(NOBODY)).toBeUndefined()
  })

  test('that failed once and was canceled while it waited: what its attempt came to is told apart from its end', async () => {
    const { offstage, seen } = stage()
    const flaky = task({
      name: 'flaky',
      retry: { attempts: 3, initial: '1h' },
      run: () => Promise.reject(new Error('no')),
    })
    const handle = await offstage.start(flaky)
    await seen('run:retried')
    expect(await offstage.runs.cancel(handle.id, 'enough')).toBe('canceled')
    const { run, attempts } = (await offstage.runs.details(handle.id))!
    expect([run.state, run.error?.message]).toEqual(['canceled', 'The run was canceled: enough'])
    expect(attempts).toMatchObject([
      { attempt: 1, came: 'retry', endedAt: expect.any(Date) as Date, error: { message: 'no' } },
    ])
  })
})

describe('runs in memory', () => {
  test('are listed newest first, by pages, by all that is asked, and counted', async () => {
    const { offstage } = stage()
    const other = task({ name: 'other', run: () => Promise.reject(new Error('no')) })
    const started: string[] = []
    for (let n = 0; n < 5; n++)
      started.push(
        (await offstage.start(echo, n, { owner: n % 2 ? 'ann' : 'bob', tags: ['t', `n${n}`], queue: 'q' })).id,
      )
    const failing = await offstage.start(other, undefined, { delay: '1h' })
    for (const id of started) await offstage.handle(echo, id).result()
    const newest = [failing.id, ...started].toSorted().toReversed()
    const ids = async (options?: object): Promise<readonly string[]> =>
      (await offstage.runs.list(options)).runs.map(({ id }) => id)
    expect(await ids()).toEqual(newest)
    expect(await ids({ owner: 'ann' })).toEqual(newest.filter((id) => id === started[3] || id === started[1]))
    expect(await ids({ task: 'echo', tag: 'n2' })).toEqual([started[2]])
    expect(await ids({ state: 'waiting' })).toEqual([failing.id])
    expect(await ids({ queue: 'q', state: 'failed' })).toEqual([])
    expect(await ids({ parent: NOBODY })).toEqual([])
    const first = await offstage.runs.list({ limit: 4 })
    expect([first.runs.length, first.nextCursor]).toEqual([4, newest[3]])
    const second = await offstage.runs.list({ limit: 4, cursor: first.nextCursor! })
    expect([second.runs.map(({ id }) => id), second.nextCursor]).toEqual([newest.slice(4), null])
    expect((await offstage.runs.list({ limit: 6 })).nextCursor).toBeNull()
    expect(await offstage.runs.tally()).toEqual({
      waiting: 1,
      running: 0,
      succeeded: 5,
      failed: 0,
      canceled: 0,
      total: 6,
    })
    expect((await offstage.runs.tally({ owner: 'ann' })).total).toBe(2)
  })

  test('of a parent are found by it', async () => {
    const { offstage } = stage()
    const parent = task({ name: 'parent', run: async (_: void, ctx) => (await ctx.start(echo, 1)).id })
    const handle = await offstage.start(parent)
    const child = await handle.result()
    expect((await offstage.runs.list({ parent: handle.id })).runs).toMatchObject([{ id: child, parent: handle.id }])
  })

  test('are removed once they have ended, and not before', async () => {
    const { offstage } = stage()
    const open = gate()
    const slow = task({ name: 'slow', run: () => open.opened })
    const waiting = await offstage.start(slow, undefined, { delay: '1h' })
    const running = await offstage.start(slow)
    await new Promise((resolve) => setImmediate(resolve))
    for (const { id } of [waiting, running])
      expect(await failure(offstage.runs.remove(id))).toMatchObject({ code: 'OFFSTAGE_RUN_NOT_FINISHED' })
    open.open()
    await running.result()
    expect(await offstage.runs.remove(running.id)).toBe(true)
    expect(await offstage.runs.remove(running.id)).toBe(false)
    expect(await offstage.runs.get(running.id)).toBeUndefined()
    expect(await failure(running.status())).toMatchObject({ code: 'OFFSTAGE_RUN_NOT_FOUND' })
    expect((await offstage.runs.tally()).total).toBe(1)
  })

  test('are run again, or given a signal, by nobody', async () => {
    const { offstage } = stage()
    const bad = task({ name: 'bad', run: () => Promise.reject(new Error('no')) })
    const handle = await offstage.start(bad)
    await failure(handle.result())
    for (const asked of [offstage.runs.rerun(handle.id), offstage.signal(handle.id, 'go')])
      expect(await failure(asked)).toMatchObject({
        code: 'OFFSTAGE_NOT_DURABLE',
        message: expect.stringContaining('"bad"') as string,
      })
  })
})

describe('drain', () => {
  test('performs what is due, those that it starts included, and leaves what is due later', async () => {
    const { offstage } = stage({ memory: { concurrency: 2 } })
    const ended: number[] = []
    const leaf = task({ name: 'leaf', run: (n: number) => void ended.push(n) })
    const root = task({ name: 'root', run: async (n: number, ctx) => void (await ctx.start(leaf, n)) })
    for (let n = 0; n < 5; n++) await offstage.start(root, n)
    await offstage.start(leaf, 9, { delay: '1h' })
    expect(await offstage.drain()).toEqual({ performed: 10, left: false })
    expect(ended).toEqual([0, 1, 2, 3, 4])
    expect(await offstage.drain()).toEqual({ performed: 0, left: false })
  })

  test('ends at its deadline, and says that something is left', async () => {
    const { offstage } = stage()
    const open = gate()
    const handle = await offstage.start(task({ name: 'slow', run: () => open.opened }))
    expect(await offstage.drain({ deadline: 10 })).toEqual({ performed: 1, left: true })
    open.open()
    await handle.result()
    expect(await offstage.drain()).toEqual({ performed: 0, left: false })
  })

  test('a run that was canceled in line is none that is left', async () => {
    const { offstage } = stage({ memory: { concurrency: 1 } })
    const open = gate()
    const slow = task({ name: 'slow', run: () => open.opened })
    const first = await offstage.start(slow)
    const second = await offstage.start(slow)
    await second.cancel()
    open.open()
    await first.result()
    expect(await offstage.drain({ deadline: 1_000 })).toMatchObject({ left: false })
  })
})

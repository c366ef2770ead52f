import { describe, expect, test } from 'vitest'
import { task } from 'offstage'
import { turns } from '../setup/fake-clock.ts'
import { failure, gate, stage } from '../setup/stage.ts'

const overloaded = { name: 'OffstageError', code: 'OFFSTAGE_OVERLOADED' }

describe('past the capacity', () => {
  test('a start is refused at once, with a sentence that says which option, and nothing that was accepted is dropped', async () => {
    const held = gate()
    const { offstage } = stage({ memory: { concurrency: 1, capacity: 3 } })
    const performed: number[] = []
    const mail = task({ name: 'mail', run: async (n: number) => (await held.opened, performed.push(n), n) })
    // All of one turn: none has begun, all stand in line.
    const starts = await Promise.allSettled([1, 2, 3, 4, 5].map((n) => offstage.start(mail, n)))
    expect(starts.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'])
    expect(await failure(offstage.start(mail, 6))).toMatchObject({
      ...overloaded,
      message: expect.stringContaining('`memory.capacity`') as string,
    })
    await turns()
    // One runs now, so one more may wait.
    const seventh = await offstage.start(mail, 7)
    expect(await failure(offstage.start(mail, 8))).toMatchObject(overloaded)
    held.open()
    await seventh.result()
    expect(performed).toEqual([1, 2, 3, 7])
  })

  test('runs that are due later, and those that wait for a response, count as waiting', async () => {
    const { offstage } = stage({ memory: { capacity: 2 } })
    const later = task({ name: 'later', run: () => {} })
    await offstage.start(later, undefined, { delay: '1h' })
    const never = { writableFinished: false, destroyed: false, once: () => {} }
    offstage.after(() => {}, { response: never as never })
    expect(await failure(offstage.start(later))).toMatchObject(overloaded)
    expect(() => offstage.after(() => {})).toThrow(expect.objectContaining(overloaded) as Error)
  })

  test('startMany starts all or none', async () => {
    const { offstage, told } = stage({ memory: { capacity: 3 } })
    const quick = task({ name: 'quick', run: (n: number) => n })
    expect(await failure(offstage.startMany(quick, [1, 2, 3, 4]))).toMatchObject(overloaded)
    await turns()
    expect(told).toEqual([])
    const handles = await offstage.startMany(quick, [1, 2, 3])
    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual([1, 2, 3])
  })

  test('a canceled run that waited gives its place in line back, whatever it waited for', async () => {
    const { offstage } = stage({ memory: { concurrency: 1, capacity: 2 } })
    const held = gate()
    const waits = task({ name: 'waits', run: () => held.opened })
    const first = await offstage.start(waits)
    await turns()
    for (let round = 0; round < 5; round++) {
      const inLine = await offstage.start(waits)
      const dueLater = await offstage.start(waits, undefined, { delay: '1h' })
      expect(await failure(offstage.start(waits))).toMatchObject(overloaded)
      expect(await inLine.cancel()).toBe('canceled')
      expect(await dueLater.cancel()).toBe('canceled')
    }
    const never = { writableFinished: false, destroyed: false, once: () => {} }
    const behind = offstage.after(() => {}, { response: never as never })
    expect(await behind.cancel()).toBe('canceled')
    const last = [await offstage.start(waits), await offstage.start(waits)]
    held.open()
    await Promise.all([first, ...last].map((handle) => handle.result()))
  })

  test('a run that is to be tried again needs no new place: it was accepted', async () => {
    const { offstage, seen } = stage({ memory: { concurrency: 1, capacity: 1 } })
    const again = task({
      name: 'again',
      retry: { attempts: 2, initial: 20, jitter: false },
      run: (_: void, ctx) => {
        if (ctx.attempt === 1) throw new Error('once')
        return ctx.attempt
      },
    })
    const handle = await offstage.start(again)
    await seen('run:retried')
    expect(await failure(offstage.start(again))).toMatchObject(overloaded)
    expect(await handle.result()).toBe(2)
  })
})

test('never more run at once than the concurrency says, and all of them end', async () => {
  const { offstage } = stage({ memory: { concurrency: 3 } })
  let now = 0
  let most = 0
  const counts = task({
    name: 'counts',
    run: async (hops: number) => {
      most = Math.max(most, ++now)
      await turns(hops)
      now--
    },
  })
  const handles = await offstage.startMany(
    counts,
    Array.from({ length: 60 }, (_, n) => n % 7),
  )
  await Promise.all(handles.map((handle) => handle.result()))
  expect({ now, most }).toEqual({ now: 0, most: 3 })
})

test('higher priority begins first, and what is alike begins in the order it came', async () => {
  const { offstage } = stage({ memory: { concurrency: 1 } })
  const order: string[] = []
  const named = (priority: number) =>
    task({ name: `p${priority}`, priority, run: (name: string) => void order.push(name) })
  const [low, none, high] = [named(-5), named(0), named(32_767)]
  const handles = [
    await offstage.start(low, 'low 1'),
    await offstage.start(none, 'none 1'),
    await offstage.start(high, 'high 1'),
    await offstage.start(low, 'low 2'),
    await offstage.start(high, 'high 2'),
    await offstage.start(none, 'none 2'),
    await offstage.start(low, 'raised', { priority: 1 }),
    await offstage.start(high, 'lowered', { priority: -32_768 }),
  ]
  await Promise.all(handles.map((handle) => handle.result()))
  expect(order).toEqual(['high 1', 'high 2', 'raised', 'none 1', 'none 2', 'low 1', 'low 2', 'lowered'])
})

describe('with every bound at 1 (F56)', () => {
  test('a parent that awaits its child, and the child its own, all end: the youngest first', async () => {
    const { offstage, told } = stage({ memory: { concurrency: 1, capacity: 1 } })
    const chain = task({
      name: 'chain',
      run: async (depth: number, ctx): Promise<number> =>
        depth === 0 ? 0 : 1 + ((await (await ctx.start(chain as never, (depth - 1) as never)).result()) as number),
    })
    expect(await offstage.execute(chain, 5)).toBe(5)
    const inputs = told.filter(({ name }) => name === 'run:succeeded')
    expect(inputs).toHaveLength(6)
    const parents = inputs.map(({ event }) => (event as { run: { id: string; parent: string | null } }).run)
    expect(parents.at(-1)?.parent).toBeNull()
    for (const [index, { parent }] of parents.slice(0, -1).entries()) expect(parent).toBe(parents[index + 1]?.id)
  })

  test('a parent that awaits many children at once frees one place, not many; afterwards the bound is 1 again', async () => {
    const { offstage } = stage({ memory: { concurrency: 1 } })
    let now = 0
    let most = 0
    const child = task({
      name: 'child',
      run: async (n: number) => {
        most = Math.max(most, ++now)
        await turns(3)
        now--
        return n
      },
    })
    const parent = task({
      name: 'parent',
      run: async (_: void, ctx) => {
        const children = await Promise.all([1, 2, 3, 4, 5].map((n) => ctx.start(child, n)))
        return Promise.all(children.map((handle) => handle.result()))
      },
    })
    expect(await offstage.execute(parent)).toEqual([1, 2, 3, 4, 5])
    const after = await offstage.startMany(child, [1, 2, 3, 4])
    await Promise.all(after.map((handle) => handle.result()))
    expect({ now, most }).toEqual({ now: 0, most: 1 })
  })

  test('a parent that ended while its wait for a child goes on has given its place back once', async () => {
    const { offstage } = stage({ memory: { concurrency: 1 } })
    const held = gate()
    let now = 0
    let most = 0
    const child = task({ name: 'child', run: () => held.opened })
    const counts = task({
      name: 'counts',
      run: async () => {
        most = Math.max(most, ++now)
        await turns(3)
        now--
      },
    })
    const leaves = task({
      name: 'leaves',
      run: async (_: void, ctx) => {
        const handle = await ctx.start(child, undefined, { delay: '1h' })
        void handle.result().catch(() => undefined)
        await turns(3)
        return handle
      },
    })
    const waitedFor = await offstage.execute(leaves)
    const handles = await offstage.startMany(
      counts,
      Array.from({ length: 5 }, () => undefined),
    )
    await Promise.all(handles.map((handle) => handle.result()))
    await waitedFor.cancel()
    const again = await offstage.startMany(
      counts,
      Array.from({ length: 5 }, () => undefined),
    )
    await Promise.all(again.map((handle) => handle.result()))
    expect({ now, most }).toEqual({ now: 0, most: 1 })
  })
})

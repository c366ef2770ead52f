import { describe, expect, test } from 'vitest'
import { task } from 'offstage'
import { turns } from '../setup/fake-clock.ts'
import { STORES, useFiles } from '../setup/stores.ts'
import { instances } from './instance.ts'

useFiles()

describe.each(STORES)('durable runs, kept in %s:', (_, newPlace) => {
  const instance = instances(newPlace)

  describe('two instances', () => {
    test('share the work: what one starts the other performs, and its starter learns the end', async () => {
      const where = task({ name: 'where', durable: true, run: (n: number, ctx) => (ctx.progress(1), n * 2) })
      const starter = instance([where], { worker: false })
      const worker = instance([where], { place: starter.place })
      await worker.offstage.ready
      const handles = await starter.offstage.startMany(where, [1, 2, 3])
      expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual([2, 4, 6])
      expect(starter.told).toEqual([])
      expect(worker.told.filter(({ name }) => name === 'run:succeeded')).toHaveLength(3)
    })

    test('perform each run once, however they race for it', async () => {
      const begun: string[] = []
      const counts = task({
        name: 'counts',
        durable: true,
        run: async (_: number, ctx) => (begun.push(`${ctx.id}#${ctx.attempt}`), await turns(2), null),
      })
      const one = instance([counts], { worker: { concurrency: 2 } })
      const two = instance([counts], { place: one.place, worker: { concurrency: 2 } })
      const handles = (
        await Promise.all(
          [one, two].map(({ offstage }) =>
            offstage.startMany(
              counts,
              Array.from({ length: 25 }, (_item, n) => n),
            ),
          ),
        )
      ).flat()
      await Promise.all(handles.map((handle) => handle.result()))
      expect(begun.toSorted()).toEqual(handles.map(({ id }) => `${id}#1`).toSorted())
    })

    test('leave alone what the other knows and they do not', async () => {
      const known = task({ name: 'known', durable: true, run: () => 'known' })
      const other = task({ name: 'other', durable: true, run: () => 'other' })
      const starter = instance([known, other], { worker: false })
      const knows = instance([known], { place: starter.place })
      const left = await starter.offstage.start(other)
      const done = await starter.offstage.start(known)
      expect(await done.result()).toBe('known')
      expect(await left.status()).toMatchObject({ state: 'waiting', attempt: 0 })
      expect(knows.lines).toEqual([])
    })
  })

  test('what is under way when an instance closes is given back, and begun again by the next one, without a try', async () => {
    const attempts: number[] = []
    const work = task({
      name: 'work',
      durable: true,
      run: (_: void, { attempt, signal }) => {
        attempts.push(attempt)
        if (attempt > 1) return attempt
        return new Promise<number>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      },
    })
    const one = instance([work])
    const handle = await one.offstage.start(work)
    await one.seen('run:started')
    const abandoned = { id: handle.id, task: 'work', durable: true }
    expect(await one.offstage.close({ deadline: 400 })).toEqual({ abandoned: [abandoned] })
    const two = instance([work], { place: one.place })
    const again = two.offstage.handle(work, handle.id)
    expect(await again.result()).toBe(2)
    expect(await again.status()).toMatchObject({ state: 'succeeded', attempt: 2, tries: 1 })
    expect(attempts).toEqual([1, 2])
  })

  test('what waits begins by priority, then by its age, and never more at once than the bound', async () => {
    const order: number[] = []
    let now = 0
    let most = 0
    const ranked = task({
      name: 'ranked',
      durable: true,
      run: async (n: number) => {
        most = Math.max(most, ++now)
        order.push(n)
        await turns(1)
        now--
      },
    })
    const starter = instance([ranked], { worker: false })
    const priorities = [0, 5, -5, 5, 0, 32_767, -32_768]
    const handles = []
    for (const [n, priority] of priorities.entries())
      handles.push(await starter.offstage.start(ranked, n, { priority }))
    instance([ranked], { place: starter.place, worker: { concurrency: 1 } })
    await Promise.all(handles.map((handle) => handle.result()))
    expect(order).toEqual([5, 1, 3, 0, 4, 2, 6])
    expect(most).toBe(1)
  })

  test('a delayed run waits for its moment, and is begun without being asked for', async () => {
    const late = task({ name: 'late', durable: true, run: () => Date.now() })
    const { offstage } = instance([late])
    const before = Date.now()
    const far = await offstage.start(late, undefined, { delay: '36500d' })
    const handle = await offstage.start(late, undefined, { delay: 40 })
    const begun = await handle.result()
    const { dueAt, createdAt } = await handle.status()
    expect(dueAt.getTime() - createdAt.getTime()).toBe(40)
    expect(begun).toBeGreaterThanOrEqual(dueAt.getTime())
    const past = await offstage.start(late, undefined, { at: new Date(0) })
    expect(await past.result()).toBeGreaterThanOrEqual(before)
    expect(await far.status()).toMatchObject({ state: 'waiting', attempt: 0 })
  })
})

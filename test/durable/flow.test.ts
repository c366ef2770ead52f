import { describe, expect, test } from 'vitest'
import { task, type Run, type Task } from 'offstage'
import { turns } from '../setup/fake-clock.ts'
import { failure, gate } from '../setup/stage.ts'
import { STORES, useFiles } from '../setup/stores.ts'
import { instances, isSettled } from './instance.ts'

useFiles()

describe.each(STORES)('durable runs, kept in %s:', (_, newPlace) => {
  const instance = instances(newPlace)

  describe('steps', () => {
    test('that are done are not done again by a later attempt, which gets what they came to', async () => {
      const done: string[] = []
      const keys: string[] = []
      const steps = task({
        name: 'steps',
        durable: true,
        retry: { attempts: 3, initial: 1 },
        run: async (_: void, ctx) => {
          const a = await ctx.step(
            'a',
            ({ idempotencyKey }) => (done.push(`a${ctx.attempt}`), keys.push(idempotencyKey), { n: 1 }),
          )
          const nothing = await ctx.step('nothing', () => void done.push(`nothing${ctx.attempt}`))
          if (ctx.attempt === 1) throw new Error('between')
          const b = await ctx.step('b', async ({ idempotencyKey }) => {
            keys.push(idempotencyKey)
            done.push(`b${ctx.attempt}`)
            if (ctx.attempt === 2) throw new Error('within')
            return 2
          })
          return { a, b, nothing: nothing === undefined }
        },
      })
      const { offstage } = instance([steps])
      const handle = await offstage.start(steps)
      expect(await handle.result()).toEqual({ a: { n: 1 }, b: 2, nothing: true })
      expect(done).toEqual(['a1', 'nothing1', 'b2', 'b3'])
      expect(keys).toEqual([`${handle.id}:a`, `${handle.id}:b`, `${handle.id}:b`])
    })

    test('are recorded before they are answered', async () => {
      const after = gate()
      const steps = task({
        name: 'steps',
        durable: true,
        run: async (_: void, ctx) => (await ctx.step('a', () => 1), after.open()),
      })
      const { offstage, store } = instance([steps])
      await offstage.ready
      const held = store.hold('record', 'after')
      const handle = await offstage.start(steps)
      await held.met
      expect(await isSettled(after.opened)).toBe(false)
      held.open()
      await handle.result()
    })

    test('give what a later attempt would see: a copy through JSON', async () => {
      const same = task({
        name: 'same',
        durable: true,
        run: async (_: void, ctx) => {
          const value = { kept: -0, gone: undefined }
          const got = await ctx.step('a', () => value as never as { kept: number })
          return [got === (value as unknown), Object.keys(got), Object.is(got.kept, -0)] as [boolean, string[], boolean]
        },
      })
      expect(await instance([same]).offstage.execute(same)).toEqual([false, ['kept'], true])
    })

    test('whose result is no JSON, or too large, fail with its place, and nothing is recorded', async () => {
      const bad = task({
        name: 'bad',
        durable: true,
        retry: 1,
        run: async (large: boolean, ctx) =>
          void (await ctx.step('a', () => (large ? 'x'.repeat(200) : ({ at: [new Date()] } as never)))),
      })
      const { offstage, store } = instance([bad], { limits: { result: 100 } })
      expect((await failure(offstage.execute(bad, false))).cause).toMatchObject({
        code: 'OFFSTAGE_NOT_SERIALIZABLE',
        path: ['at', 0],
        message: expect.stringContaining('the step "a"') as string,
      })
      expect((await failure(offstage.execute(bad, true))).cause).toMatchObject({ code: 'OFFSTAGE_PAYLOAD_TOO_LARGE' })
      expect(store.kinds('record')).toEqual([])
    })

    test('of one name, twice in an attempt, are refused; so are names that are none', async () => {
      const twice = task({
        name: 'twice',
        durable: true,
        retry: 1,
        run: async (names: string[], ctx) => {
          for (const name of names) await ctx.step(name, () => 1)
        },
      })
      const { offstage } = instance([twice])
      for (const names of [['a', 'a'], [''], ['x'.repeat(201)], ['offstage:child:x#1'], [5 as never]])
        expect((await failure(offstage.execute(twice, names))).cause).toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
      await offstage.execute(twice, ['a', 'b', 'x'.repeat(200)])
    })
  })

  describe('children', () => {
    const child = task({ name: 'child', durable: true, run: (n: number) => n * 2 })

    test('are started once over all attempts of their parent, each its own', async () => {
      const ids: string[][] = []
      const parent = task({
        name: 'parent',
        durable: true,
        retry: { attempts: 3, initial: 1 },
        run: async (_: void, ctx) => {
          const handles = [await ctx.start(child, 1), await ctx.start(child, 2)]
          ids.push(handles.map(({ id }) => id))
          if (ctx.attempt < 3) throw new Error('again')
          return Promise.all(handles.map((handle) => handle.result()))
        },
      })
      const { offstage, store, told } = instance([parent, child])
      const handle = await offstage.start(parent)
      expect(await handle.result()).toEqual([2, 4])
      expect(ids).toEqual([ids[0], ids[0], ids[0]])
      expect(new Set(ids[0]).size).toBe(2)
      const begun = told.filter(({ name }) => name === 'run:started').map(({ event }) => (event as { run: Run }).run)
      expect(begun.filter(({ task: name }) => name === 'child').map(({ parent: of }) => of)).toEqual([
        handle.id,
        handle.id,
      ])
      expect(store.kinds('insert').length).toBeGreaterThan(3)
    })

    test('that the parent awaits end before it, with every bound at 1 (F56)', async () => {
      const chain: Task<number, number> = task({
        name: 'chain',
        durable: true,
        run: async (depth: number, ctx): Promise<number> =>
          depth === 0 ? 0 : 1 + (await (await ctx.start(chain, depth - 1)).result()),
      })
      const { offstage, told } = instance([chain], { worker: { concurrency: 1 }, memory: { concurrency: 1 } })
      const handle = await offstage.start(chain, 4)
      expect(await handle.result()).toBe(4)
      const ends = told.filter(({ name }) => name === 'run:succeeded').map(({ event }) => (event as { run: Run }).run)
      expect(ends.at(-1)?.id).toBe(handle.id)
      for (const [index, { parent }] of ends.slice(0, -1).entries()) expect(parent).toBe(ends[index + 1]?.id)
    })

    test('awaited together free one place, not many; afterwards the bound is what it was', async () => {
      let now = 0
      let most = 0
      const counts = task({
        name: 'counts',
        durable: true,
        run: async (n: number) => {
          most = Math.max(most, ++now)
          await turns(3)
          now--
          return n
        },
      })
      const parent = task({
        name: 'parent',
        durable: true,
        run: async (_: void, ctx) => {
          const handles = await Promise.all([1, 2, 3, 4, 5].map((n) => ctx.start(counts, n)))
          return Promise.all(handles.map((handle) => handle.result()))
        },
      })
      const { offstage } = instance([parent, counts], { worker: { concurrency: 1 } })
      expect(await offstage.execute(parent)).toEqual([1, 2, 3, 4, 5])
      const after = await offstage.startMany(counts, [1, 2, 3, 4])
      await Promise.all(after.map((handle) => handle.result()))
      expect({ now, most }).toEqual({ now: 0, most: 1 })
    })

    test('of a parent in memory are durable, those in memory of a durable parent are not: both are found by their handles', async () => {
      const memory = task({ name: 'memory', run: (n: number) => n + 1 })
      const durableParent = task({
        name: 'durableParent',
        durable: true,
        run: async (_: void, ctx) => (await ctx.start(memory, 1)).result(),
      })
      const memoryParent = task({
        name: 'memoryParent',
        run: async (_: void, ctx) => (await ctx.start(child, 1)).result(),
      })
      const { offstage, told } = instance([durableParent, child, memory, memoryParent], {
        worker: { concurrency: 1 },
        memory: { concurrency: 1 },
      })
      expect(await offstage.execute(durableParent)).toBe(2)
      expect(await offstage.execute(memoryParent)).toBe(2)
      const begun = told.filter(({ name }) => name === 'run:started').map(({ event }) => (event as { run: Run }).run)
      expect(begun.map(({ task: name, durable }) => [name, durable])).toEqual([
        ['durableParent', true],
        ['memory', false],
        ['memoryParent', false],
        ['child', true],
      ])
    })
  })
})

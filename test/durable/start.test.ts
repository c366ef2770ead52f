import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { task, type Task } from 'offstage'
import { failure } from '../setup/stage.ts'
import { STORES, useFiles } from '../setup/stores.ts'
import { instances, isSettled } from './instance.ts'

useFiles()

describe.each(STORES)('durable runs, kept in %s:', (_, newPlace) => {
  const instance = instances(newPlace)

  describe('start', () => {
    const quick = task({ name: 'quick', durable: true, run: (n: number) => n + 1 })

    test('is not answered before the commit, nor before its reply', async () => {
      const { offstage, store } = instance([quick])
      await offstage.ready
      for (const moment of ['before', 'after'] as const) {
        const held = store.hold('insert', moment)
        const starting = offstage.start(quick, 1)
        await held.met
        expect(await isSettled(starting)).toBe(false)
        held.open()
        expect(await (await starting).result()).toBe(2)
      }
    })

    test('in a transaction takes no signal: nobody could say what it cancels before the commit', async () => {
      const { offstage, store } = instance([quick], { worker: false })
      await offstage.ready
      const options = { tx: {}, signal: new AbortController().signal }
      const error = { code: 'OFFSTAGE_BAD_OPTION', message: expect.stringContaining('start.options.signal') as string }
      expect(await failure(offstage.start(quick, 1, options))).toMatchObject(error)
      expect(await failure(Promise.try(() => offstage.startSync(quick, 1, options)))).toMatchObject(error)
      expect(store.kinds('insert')).toEqual([])
    })

    test.each([
      ['owner', { owner: '\ud800' }],
      ['queue', { queue: 'q\udc00' }],
      ['tags[1]', { tags: ['a', '\ud800a'] }],
    ] as const)('takes no half of a surrogate pair as its %s', async (name, options) => {
      const { offstage } = instance([quick], { worker: false })
      expect(await failure(offstage.start(quick, 1, options))).toMatchObject({
        code: 'OFFSTAGE_BAD_OPTION',
        message: expect.stringContaining(`start.options.${name}`) as string,
      })
    })

    test('has the run on record when it is answered, for every other instance too', async () => {
      const { offstage, place } = instance([quick], { worker: false })
      const other = instance([quick], { worker: false, place })
      const handle = await offstage.start(quick, 1, { owner: 'ann', tags: ['a', 'b'], priority: 7, queue: 'q' })
      expect(handle).toMatchObject({ task: 'quick', disposition: 'created' })
      expect(await other.offstage.handle(quick, handle.id).status()).toMatchObject({
        id: handle.id,
        task: 'quick',
        durable: true,
        state: 'waiting',
        attempt: 0,
        tries: 0,
        maxAttempts: 10,
        owner: 'ann',
        tags: ['a', 'b'],
        priority: 7,
        queue: 'q',
        version: 1,
        instance: null,
        createdAt: expect.any(Date) as Date,
      })
    })

    test("is answered before the task's first line, which comes in a later turn", async () => {
      const order: string[] = []
      const mail = task({ name: 'mail', durable: true, run: () => void order.push('task') })
      const { offstage, store } = instance([mail])
      await offstage.ready
      for (let round = 0; round < 3; round++) {
        const handle = await offstage.start(mail)
        order.push('answered')
        for (let microtask = 0; microtask < 1_000; microtask++) await Promise.resolve()
        await new Promise<void>((resolve) => process.nextTick(resolve))
        order.push('went on')
        await handle.result()
      }
      expect(order).toEqual(Array.from({ length: 3 }, () => ['answered', 'went on', 'task']).flat())
      expect(store.kinds('insert')).toHaveLength(3)
    })

    test('shares a commit with whatever else is started in the same turn', async () => {
      const { offstage, store } = instance([quick], { worker: false })
      await offstage.start(quick, 0)
      const before = store.batches.length
      const handles = await Promise.all([
        ...Array.from({ length: 20 }, (_item, n) => offstage.start(quick, n)),
        offstage.startMany(quick, [1, 2, 3]),
      ])
      expect(new Set(handles.flat().map(({ id }) => id)).size).toBe(23)
      expect(store.batches.slice(before).map((batch) => batch.length)).toEqual([23])
    })

    test.each([
      ['a Date', { when: new Date(0) }, ['when']],
      ['undefined in an array', { list: [1, undefined] }, ['list', 1]],
      ['a Map', [new Map()], [0]],
      ['NaN', { deep: [{ n: Number.NaN }] }, ['deep', 0, 'n']],
      ['a function', { 'a b': () => 1 }, ['a b']],
    ])('refuses %s in an input with its place, before anything is written', async (_name, input, path) => {
      const any = task({ name: 'any', durable: true, run: (given: never) => void given })
      const { offstage, store } = instance([any], { worker: false })
      expect(await failure(offstage.start(any, input as never))).toMatchObject({
        name: 'NotSerializableError',
        code: 'OFFSTAGE_NOT_SERIALIZABLE',
        path,
      })
      expect(await failure(offstage.startMany(any, [1, input] as never))).toMatchObject({ path })
      expect(store.kinds('insert')).toEqual([])
    })

    test('refuses an input that is too large or too deep, before anything is written', async () => {
      const any: Task<unknown, void> = task({
        name: 'any',
        durable: true,
        run: (given: unknown) => void given,
      } as never)
      const { offstage, store } = instance([any], { worker: false, limits: { input: 10, depth: 3 } })
      expect(await failure(offstage.start(any, '123456789'))).toMatchObject({
        code: 'OFFSTAGE_PAYLOAD_TOO_LARGE',
        message: expect.stringContaining('11 bytes') as string,
      })
      expect(await failure(offstage.start(any, 'ééééé'))).toMatchObject({ code: 'OFFSTAGE_PAYLOAD_TOO_LARGE' })
      expect(await failure(offstage.start(any, [[[[]]]]))).toMatchObject({
        code: 'OFFSTAGE_NOT_SERIALIZABLE',
        path: [0, 0, 0],
      })
      expect(store.kinds('insert')).toEqual([])
      await offstage.start(any, '12345678')
      await offstage.start(any, [[[]]])
      expect(store.kinds('insert')).toHaveLength(2)
    })

    test('refuses a durable task that is not among the tasks', async () => {
      const { offstage } = instance([quick])
      const stranger = task({ name: 'stranger', durable: true, run: () => {} })
      expect(await failure(offstage.start(stranger))).toMatchObject({
        code: 'OFFSTAGE_UNKNOWN_TASK',
        message: expect.stringContaining('"stranger"') as string,
      })
    })

    test('keeps no hold of the async context of its caller: the task cannot reach it', async () => {
      const request = new AsyncLocalStorage<string>()
      const seen: unknown[] = []
      const look = task({
        name: 'look',
        durable: true,
        retry: { attempts: 2, initial: 1 },
        run: async (_: void, ctx) => {
          seen.push(request.getStore())
          await ctx.step('a', async () => {
            await sleep(1)
            seen.push(request.getStore())
          })
          setTimeout(() => seen.push(request.getStore()), 0)
          await sleep(2)
          if (ctx.attempt === 1) throw new Error('once')
        },
      })
      const { offstage } = instance([look])
      // The first one opens the store, and whatever that starts.
      await request.run('of the first', () => offstage.execute(look))
      await request.run('of the second', () => offstage.execute(look))
      expect(new Set(seen)).toEqual(new Set([undefined]))
    })

    test('gives the code its input as JSON carries it, whole: NUL, −0, lone surrogates, __proto__', async () => {
      const same = task({ name: 'same', durable: true, run: (given: never) => given })
      const { offstage } = instance([same])
      const input = {
        'nul \0': '\0',
        zero: -0,
        lone: '\ud800 \udc00',
        ['__proto__']: { own: true },
        line: '\u2028\u2029',
        none: null,
        absent: undefined,
      }
      Object.defineProperty(input, '__proto__', {
        value: { own: true },
        enumerable: true,
        configurable: true,
        writable: true,
      })
      const output: Record<string, unknown> = await offstage.execute(same, input as never)
      expect(Object.keys(output).toSorted()).toEqual(['__proto__', 'line', 'lone', 'none', 'nul \0', 'zero'])
      expect(Object.is(output['zero'], -0)).toBe(true)
      expect(Object.getOwnPropertyDescriptor(output, '__proto__')?.value).toEqual({ own: true })
      expect([output['nul \0'], output['lone'], output['line'], output['none']]).toEqual([
        '\0',
        '\ud800 \udc00',
        '\u2028\u2029',
        null,
      ])
      expect(({} as { own?: boolean }).own).toBeUndefined()
    })
  })
})

import { describe, expect, test } from 'vitest'
import { task, type Json, type Run } from 'offstage'
import { turns } from '../setup/fake-clock.ts'
import { failure, gate } from '../setup/stage.ts'
import { STORES, useFiles } from '../setup/stores.ts'
import { instances, type Instance } from './instance.ts'

useFiles()

describe.each(STORES)('durable runs that wait, kept in %s:', (_, newPlace) => {
  const instance = instances(newPlace)
  const names = ({ told }: Instance): readonly string[] =>
    told.map(({ name }) => name).filter((name) => name.startsWith('run:'))
  const find = async ({ store }: Instance, run: string) => (await store.read({ kind: 'find', run }))!
  /** It has begun, and waits. */
  const waiting = async (one: Instance, run: string): Promise<void> => {
    const waits = async (): Promise<boolean> => {
      const { state, attempt } = await find(one, run)
      return state === 'waiting' && attempt > 0
    }
    await expect.poll(waits, { interval: 5, timeout: 5_000 }).toBe(true)
  }

  describe('sleep', () => {
    test('goes on after its time, with the results of the steps before it, and counts as no try', async () => {
      const begun: number[] = []
      const sleeps = task({
        name: 'sleeps',
        durable: true,
        retry: 1,
        run: async (_: void, ctx) => {
          begun.push(ctx.attempt)
          const at = await ctx.step('before', () => Date.now())
          await ctx.sleep('a', 60)
          return Date.now() - at
        },
      })
      const one = instance([sleeps])
      const handle = await one.offstage.start(sleeps)
      expect(await handle.result()).toBeGreaterThanOrEqual(60)
      expect(begun).toEqual([1, 2])
      expect(await handle.status()).toMatchObject({ attempt: 2, tries: 1, state: 'succeeded' })
      expect(names(one)).toEqual(['run:started', 'run:started', 'run:succeeded'])
      expect(one.store.kinds('settle')).toHaveLength(2)
    })

    test('until a date that is past does not leave its place', async () => {
      const sleeps = task({
        name: 'sleeps',
        durable: true,
        run: async (_: void, ctx) => (await ctx.sleep('a', new Date(0)), await ctx.sleep('b', 0), ctx.attempt),
      })
      expect(await instance([sleeps]).offstage.execute(sleeps)).toBe(1)
    })

    test('one after the other, in one run; each is slept once', async () => {
      const sleeps = task({
        name: 'sleeps',
        durable: true,
        run: async (_: void, ctx) => {
          for (const name of ['a', 'b', 'c']) await ctx.sleep(name, 10)
          return ctx.attempt
        },
      })
      expect(await instance([sleeps]).offstage.execute(sleeps)).toBe(4)
    })

    test('goes on for the rest of its time where the run is called again for another reason', async () => {
      const moments: number[] = []
      const sleeps = task({
        name: 'sleeps',
        durable: true,
        run: async (_: void, ctx) => {
          moments.push(Date.now())
          await Promise.race([ctx.sleep('a', 2_000), ctx.waitFor('go')])
          return Date.now() - moments[0]!
        },
      })
      const one = instance([sleeps])
      const handle = await one.offstage.start(sleeps)
      await waiting(one, handle.id)
      const { dueAt } = await find(one, handle.id)
      await one.offstage.signal(handle.id, 'other')
      expect(await find(one, handle.id)).toMatchObject({ waitingFor: 'go', dueAt })
      expect(await handle.result()).toBeGreaterThanOrEqual(1_999)
      expect(moments).toHaveLength(2)
    })

    test('gives its place to others, and is seen as waiting', async () => {
      const seenRunning = gate()
      const sleeps = task({
        name: 'sleeps',
        durable: true,
        run: async (_: void, ctx) => {
          await seenRunning.opened
          await ctx.sleep('a', '1h')
        },
      })
      const other = task({ name: 'other', durable: true, run: () => 'done' })
      const one = instance([sleeps, other], { worker: { concurrency: 1 } })
      const before = Date.now()
      const handle = await one.offstage.start(sleeps)
      const seen: string[] = []
      for await (const { type, data } of handle.events({ after: 0 })) {
        if (type === 'run') seen.push((data as Run).state)
        if (seen.at(-1) === 'running') seenRunning.open()
        else if (seen.includes('running')) break
      }
      expect(seen.at(-1)).toBe('waiting')
      expect(await one.offstage.execute(other)).toBe('done')
      const run = await handle.status()
      expect(run).toMatchObject({ state: 'waiting', tries: 0, attempt: 1, instance: null, done: false })
      expect(run.dueAt.getTime() - before).toBeGreaterThanOrEqual(3_600_000)
      expect(one.lines).toEqual([])
    })

    test('is canceled at once', async () => {
      const sleeps = task({ name: 'sleeps', durable: true, run: (_: void, ctx) => ctx.sleep('a', '1h') })
      const one = instance([sleeps])
      const handle = await one.offstage.start(sleeps)
      await waiting(one, handle.id)
      expect(await handle.cancel('enough')).toBe('canceled')
      expect(await failure(handle.result())).toMatchObject({ code: 'OFFSTAGE_CANCELED' })
    })

    test('waits for a step beside it, which is not done again', async () => {
      const done: string[] = []
      const step = gate()
      const both = task({
        name: 'both',
        durable: true,
        run: async (_: void, ctx) => {
          await Promise.all([
            ctx.sleep('a', 300),
            ctx.step('long', async () => {
              done.push(`long${ctx.attempt}`)
              await step.opened
            }),
          ])
          return ctx.attempt
        },
      })
      const one = instance([both])
      const handle = await one.offstage.start(both)
      await one.seen('run:started')
      await turns()
      expect(one.store.kinds('settle')).toEqual([])
      step.open()
      expect(await handle.result()).toBe(2)
      expect(done).toEqual(['long1'])
    })

    test('lets a child be started beside it', async () => {
      const child = task({ name: 'child', durable: true, run: () => 'of the child' })
      const parent = task({
        name: 'parent',
        durable: true,
        run: async (_: void, ctx) => {
          const [handle] = await Promise.all([ctx.start(child), ctx.sleep('a', 200)])
          return handle.result()
        },
      })
      const one = instance([parent, child])
      const handle = await one.offstage.start(parent)
      const held = one.store.hold('insert', 'before')
      await held.met
      await turns()
      expect(one.store.kinds('settle')).toEqual([])
      held.open()
      expect(await handle.result()).toBe('of the child')
      const children = one.told.filter(({ event }) => (event as { run?: Run }).run?.task === 'child')
      expect(children.map(({ name }) => name)).toEqual(['run:started', 'run:succeeded'])
    })

    test('what its code does afterwards is accepted no more, and nobody is told of it', async () => {
      const asleep = gate()
      const done: string[] = []
      const sleeps = task({
        name: 'sleeps',
        durable: true,
        run: async (_: void, ctx) => {
          const late = async (): Promise<void> => {
            await asleep.opened
            ctx.emit('late')
            ctx.progress(1)
            ctx.log.info({}, 'late')
            await ctx.step('late', () => done.push('a step'))
            done.push('after it')
          }
          if (ctx.attempt === 1) void late()
          await ctx.sleep('a', '1h')
        },
      })
      const one = instance([sleeps])
      const handle = await one.offstage.start(sleeps)
      await waiting(one, handle.id)
      const { number } = await find(one, handle.id)
      asleep.open()
      await turns()
      expect(done).toEqual([]) // it is called again, and would do it a second time
      expect(await find(one, handle.id)).toMatchObject({ number, progress: null })
      expect(names(one)).toEqual(['run:started'])
    })

    test('of a run that is slept by one instance is ended by another', async () => {
      const sleeps = task({
        name: 'sleeps',
        durable: true,
        run: async (_: void, ctx) => (await ctx.sleep('a', 1_500), ctx.attempt),
      })
      const one = instance([sleeps])
      const handle = await one.offstage.start(sleeps)
      await waiting(one, handle.id)
      const two = instance([sleeps], { place: one.place })
      await two.offstage.ready
      await one.offstage.close()
      expect(await two.offstage.handle(sleeps, handle.id).result()).toBe(2)
    })

    test.each<unknown>(['soon', -1, new Date(Number.NaN)])(
      'until %s is refused in the code, and nothing is written',
      async (until) => {
        const sleeps = task({
          name: 'sleeps',
          durable: true,
          retry: 1,
          run: async (_: void, ctx) => (await failure(ctx.sleep('a', until as number))).code as string,
        })
        const one = instance([sleeps])
        expect(await one.offstage.execute(sleeps)).toBe('OFFSTAGE_BAD_OPTION')
        expect(one.store.kinds('record')).toEqual([])
      },
    )
  })

  describe('waitFor', () => {
    const waits = task({
      name: 'waits',
      durable: true,
      run: async (times: number, ctx) => {
        const got: Json[] = []
        for (let n = 0; n < times; n++) got.push(await ctx.waitFor('go'))
        return got
      },
    })

    test('answers the signals of its name in their order, whenever they came', async () => {
      const one = instance([waits])
      const handle = await one.offstage.start(waits, 3)
      await one.offstage.signal(handle.id, 'go', { n: 1 })
      await one.offstage.signal(handle.id, 'stop', 'of another name')
      await waiting(one, handle.id)
      await one.offstage.signal(handle.id, 'go', 2)
      await one.offstage.signal(handle.id, 'go')
      expect(await handle.result()).toEqual([{ n: 1 }, 2, null])
      expect(await handle.status()).toMatchObject({ tries: 1 })
    })

    test.each<unknown>(['', 'x'.repeat(201), 'go\ud800', 5, null])(
      'can be told of no signal named %j: it is refused where it is sent',
      async (name) => {
        const one = instance([waits])
        const handle = await one.offstage.start(waits, 1)
        expect(await failure(one.offstage.signal(handle.id, name as string))).toMatchObject({
          code: 'OFFSTAGE_BAD_OPTION',
        })
        expect(one.store.kinds('signal')).toEqual([])
      },
    )

    test('answers what came before the run began', async () => {
      const one = instance([waits])
      const handle = await one.offstage.start(waits, 1, { delay: 50 })
      await one.offstage.signal(handle.id, 'go', 'early')
      expect(await handle.result()).toEqual(['early'])
    })

    test('says what the run waits for; a signal makes it due at once', async () => {
      const one = instance([waits])
      const handle = await one.offstage.start(waits, 1)
      await waiting(one, handle.id)
      expect(await find(one, handle.id)).toMatchObject({ waitingFor: 'go', dueAt: 8.64e15 })
      await one.offstage.signal(handle.id, 'go', 1)
      expect(await handle.result()).toEqual([1])
      expect((await find(one, handle.id)).waitingFor).toBeNull()
    })

    test('throws a TimeoutError where no signal comes in time, in every later attempt too', async () => {
      const codes: unknown[] = []
      const late = task({
        name: 'late',
        durable: true,
        retry: { attempts: 3, initial: 1 },
        run: async (_: void, ctx) => {
          codes.push((await failure(ctx.waitFor('go', { timeout: 20 }))).code)
          if (codes.length === 1) throw new Error('again')
          return ctx.waitFor('go', { timeout: 20 }).catch(() => 'none')
        },
      })
      const one = instance([late])
      const handle = await one.offstage.start(late)
      expect(await handle.result()).toBe('none')
      expect(new Set(codes)).toEqual(new Set(['OFFSTAGE_TIMEOUT']))
      expect(await handle.status()).toMatchObject({ tries: 2 })
    })

    test('answers a signal that comes when the time is over and the wait has not yet been called out of time', async () => {
      const begun = gate()
      const look = gate()
      const late = task({
        name: 'late',
        durable: true,
        run: async (_: void, ctx) => {
          if (ctx.attempt > 1) {
            // The journal has been read by then.
            await ctx.step('read', () => 1)
            begun.open()
            await look.opened
          }
          return ctx.waitFor('go', { timeout: 1 })
        },
      })
      const one = instance([late])
      const handle = await one.offstage.start(late)
      await begun.opened
      await one.offstage.signal(handle.id, 'go', 'just in time')
      look.open()
      expect(await handle.result()).toBe('just in time')
    })

    test('is answered by whoever signals, in another process too', async () => {
      const one = instance([waits])
      const handle = await one.offstage.start(waits, 1)
      await waiting(one, handle.id)
      const two = instance([waits], { place: one.place, worker: false })
      await two.offstage.signal(handle.id, 'go', ['from afar'])
      expect(await handle.result()).toEqual([['from afar']])
    })

    test('has a sender who is told where the run has ended, or is not there', async () => {
      const one = instance([waits])
      const handle = await one.offstage.start(waits, 0)
      await handle.result()
      const code = async (run: string) => (await failure(one.offstage.signal(run, 'go'))).code
      expect(await code(handle.id)).toBe('OFFSTAGE_RUN_FINISHED')
      expect(await code('01890000-0000-7000-8000-000000000000')).toBe('OFFSTAGE_RUN_NOT_FOUND')
    })
  })
})

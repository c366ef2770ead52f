import { describe, expect, test } from 'vitest'
import { task, type Offstage } from 'offstage'
import { STORES, useFiles } from '../setup/stores.ts'
import { instances } from './instance.ts'

useFiles()

describe.each(STORES)('durable runs, kept in %s:', (_, newPlace) => {
  const instance = instances(newPlace)

  describe('events', () => {
    const tells = task({
      name: 'tells',
      durable: true,
      retry: { attempts: 2, initial: 1 },
      run: async (_: void, ctx) => {
        for (let n = 1; n <= 4; n++) {
          ctx.emit({ attempt: ctx.attempt, n })
          await ctx.step(`step ${n}`, () => n)
        }
        ctx.progress({ done: 4, total: 4 })
        if (ctx.attempt === 1) throw new Error('once')
        return 'told'
      },
    })
    const all = async (offstage: Offstage, id: string, after?: number) => {
      const events = []
      for await (const event of offstage.handle(tells, id).events(after === undefined ? {} : { after }))
        events.push(event)
      return events
    }

    test('rise in number, are resumed after any of them without a gap or a repeat, and end with done', async () => {
      const { offstage, place } = instance([tells])
      const handle = await offstage.start(tells)
      const live = await all(offstage, handle.id)
      const kept = await all(offstage, handle.id, 0)
      const elsewhere = await all(instance([tells], { place, worker: false }).offstage, handle.id, 0)
      for (const events of [live, kept, elsewhere]) {
        const numbers = events.map(({ number }) => number)
        expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
        expect(events[0]?.type).toBe('run')
        expect(events.at(-1)).toMatchObject({ type: 'done', data: { state: 'succeeded', result: 'told' } })
        expect(events.filter(({ type }) => type === 'done')).toHaveLength(1)
        const outputs = events.filter(({ type }) => type === 'output').map(({ data }) => data)
        expect(outputs).toEqual([1, 2].flatMap((attempt) => [1, 2, 3, 4].map((n) => ({ attempt, n }))))
      }
      const stored = kept.filter(({ type }) => type === 'output' || type === 'progress')
      for (const { number } of stored) {
        const rest = await all(offstage, handle.id, number)
        expect(rest.filter(({ type }) => type === 'output' || type === 'progress')).toEqual(
          stored.filter((event) => event.number > number),
        )
      }
      expect(await handle.status()).toMatchObject({ progress: { done: 4, total: 4, fraction: 1 } })
    })

    test('of an output that is no JSON are refused where it is given, and of one that is too large', async () => {
      const codes: unknown[] = []
      const emits = task({
        name: 'emits',
        durable: true,
        run: (_: void, ctx) => {
          for (const data of [new Date(0), [undefined], 'x'.repeat(200)])
            try {
              ctx.emit(data as never)
            } catch (error) {
              codes.push((error as { code: string }).code)
            }
        },
      })
      await instance([emits], { limits: { result: 100 } }).offstage.execute(emits)
      expect(codes).toEqual(['OFFSTAGE_NOT_SERIALIZABLE', 'OFFSTAGE_NOT_SERIALIZABLE', 'OFFSTAGE_PAYLOAD_TOO_LARGE'])
    })

    test('of progress told many times in a row are few, and the last is among them', async () => {
      const rushes = task({
        name: 'rushes',
        durable: true,
        run: (_: void, ctx) => {
          for (let done = 1; done <= 1_000; done++) ctx.progress({ done, total: 1_000 })
        },
      })
      const { offstage } = instance([rushes])
      const handle = await offstage.start(rushes)
      await handle.result()
      expect(await handle.status()).toMatchObject({ progress: { done: 1_000, fraction: 1 } })
      const events = []
      for await (const event of handle.events({ after: 0 })) if (event.type === 'progress') events.push(event.data.done)
      expect(events).toEqual([1, 1_000])
    })

    test('of a run that nobody knows are none', async () => {
      const { offstage } = instance([tells])
      expect(await all(offstage, '01a20591-568e-7910-9286-c16a66a51fae')).toEqual([])
    })
  })
})

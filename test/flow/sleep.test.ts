import { describe, expect, test } from 'vitest'
import { CanceledError } from '../../src/core/errors.ts'
import { turns } from '../setup/fake-clock.ts'
import { gate } from '../setup/stage.ts'
import { attempt, NOW } from './journal.ts'

const sleepOf = (name: string) => `offstage:sleep:${name}`

describe('a sleep', () => {
  test.each<[number | '5s' | Date, object]>([
    ['5s', { after: 5_000, at: null }],
    [0.5, { after: 1, at: null }],
    [new Date(NOW + 7), { after: null, at: NOW + 7 }],
  ])('of %s that is not known gives the run back until then', async (until, moment) => {
    const { flow, parked, journal } = attempt()
    let over = false
    void flow.sleep('a', until).finally(() => (over = true))
    expect(await parked).toEqual({ kind: 'parked', name: sleepOf('a'), signal: null, ...moment })
    await turns()
    expect([over, journal.park.mock.calls.length, journal.record.mock.calls.length]).toEqual([false, 1, 0])
  })

  test('that is over goes on at once', async () => {
    const { flow, journal } = attempt({ [sleepOf('a')]: String(NOW) })
    await flow.sleep('a', '1h')
    expect(journal.park).not.toHaveBeenCalled()
  })

  test('that is not over yet goes on until the moment that was kept, whatever is asked for now', async () => {
    const { flow, parked } = attempt({ [sleepOf('a')]: String(NOW + 9) })
    void flow.sleep('a', '1h')
    expect(await parked).toEqual({ kind: 'parked', name: sleepOf('a'), after: null, at: NOW + 9, signal: null })
  })

  test.each([0, new Date(NOW), new Date(0), new Date(-1)])(
    'until %s, which is past, is over and stays so',
    async (until) => {
      const { flow, kept, journal } = attempt()
      await flow.sleep('a', until)
      expect(journal.park).not.toHaveBeenCalled()
      expect(Number(kept[sleepOf('a')])).toBeLessThanOrEqual(NOW)
      await attempt(kept).flow.sleep('a', '1h')
    },
  )

  test.each<unknown>([-1, Number.NaN, Infinity, '5', '1 h', new Date(Number.NaN), null, undefined, '200000y'])(
    'until %s is refused, and nothing is asked of the journal',
    async (until) => {
      const { flow, journal } = attempt()
      await expect(flow.sleep('a', until as number)).rejects.toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
      expect(journal.recall).not.toHaveBeenCalled()
      // The name was not taken by what was refused.
      await attempt({ [sleepOf('a')]: '0' }).flow.sleep('a', 1)
    },
  )

  test.each<unknown>(['', 'x'.repeat(201), 'offstage:a', '\ud800', 5, undefined])('has no name %j', async (name) => {
    const { flow } = attempt()
    await expect(flow.sleep(name as string, 1)).rejects.toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
  })

  test('has a name of its own among the sleeps; a step may have the same', async () => {
    const { flow } = attempt({ [sleepOf('a')]: '0' })
    await flow.step('a', () => 1)
    await flow.sleep('a', 1)
    await expect(flow.sleep('a', 1)).rejects.toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
  })

  test('within a step is refused: the step would wait for itself', async () => {
    const { flow } = attempt()
    const inside = async (): Promise<void> => {
      await turns(1)
      await flow.sleep('b', 1)
    }
    await expect(flow.step('a', inside)).rejects.toMatchObject({
      code: 'OFFSTAGE_BAD_OPTION',
      message: expect.stringContaining('within a step') as string,
    })
  })

  test('does not begin after the signal, and ends with it while it waits for a step', async () => {
    const { flow, ending, journal } = attempt()
    const step = gate()
    void flow.step('long', () => step.opened)
    const sleep = flow.sleep('a', '1h')
    const reason = new CanceledError()
    await turns()
    ending.abort(reason)
    await expect(sleep).rejects.toBe(reason)
    await expect(flow.sleep('b', '1h')).rejects.toBe(reason)
    step.open()
    await turns()
    expect(journal.park).not.toHaveBeenCalled()
  })
})

describe('beside other things', () => {
  test('a sleep waits for a step in progress and its record; its time goes on meanwhile', async () => {
    const { flow, kept, journal, parked, pass } = attempt()
    const step = gate()
    const disk = Promise.withResolvers<string>()
    journal.record.mockImplementationOnce(async () => (kept['long'] = await disk.promise))
    void Promise.all([flow.step('long', () => step.opened), flow.sleep('a', 1_000)])
    await turns()
    pass(400)
    step.open()
    await turns()
    expect(journal.park).not.toHaveBeenCalled()
    disk.resolve('1')
    expect(await parked).toMatchObject({ name: sleepOf('a'), after: 600 })
    expect(kept['long']).toBe('1')
  })

  test('a sleep waits for the steps that follow one another', async () => {
    const { flow, kept, parked } = attempt()
    const three = async (): Promise<void> => {
      for (const name of ['1', '2', '3']) await flow.step(name, () => turns(2))
    }
    void Promise.all([three(), flow.sleep('a', 1_000)])
    await parked
    expect(Object.keys(kept)).toEqual(['1', '2', '3'])
  })

  test('a sleep waits for what must not be cut short, as the start of a child', async () => {
    const { flow, journal, parked } = attempt()
    const started = gate()
    void flow.during(() => started.opened)
    void flow.sleep('a', 1_000)
    await turns()
    expect(journal.park).not.toHaveBeenCalled()
    started.open()
    await parked
  })

  test('several sleeps end the attempt once, with the first; the ends of the others are kept', async () => {
    const { flow, kept, journal, parked } = attempt({ [sleepOf('kept')]: String(NOW + 80_000) })
    void Promise.all([
      flow.sleep('hour', '1h'),
      flow.sleep('second', '1s'),
      flow.sleep('date', new Date(NOW + 5_000)),
      flow.sleep('kept', '1d'),
    ])
    expect(await parked).toMatchObject({ name: sleepOf('second'), after: 1_000 })
    await turns()
    expect(journal.park).toHaveBeenCalledTimes(1)
    expect(journal.record).toHaveBeenCalledTimes(2)
    expect(kept).toEqual({
      [sleepOf('hour')]: String(NOW + 3_600_000),
      [sleepOf('date')]: String(NOW + 5_000),
      [sleepOf('kept')]: String(NOW + 80_000),
    })
  })

  test('a sleep is told where the end of its neighbour cannot be kept', async () => {
    const { flow, journal } = attempt()
    journal.record.mockRejectedValue(new Error('fenced'))
    await expect(Promise.all([flow.sleep('a', 1), flow.sleep('b', 2)])).rejects.toThrow('fenced')
    await turns()
    expect(journal.park).not.toHaveBeenCalled()
  })

  test('a sleep and a wait for a signal: the moment is the first of both, and the signal makes it due sooner', async () => {
    const { flow, kept, parked } = attempt()
    void Promise.race([flow.sleep('a', 1_000), flow.waitFor('go', { timeout: 5_000 })])
    const signal = { name: 'go', nth: 1 }
    expect(await parked).toEqual({ kind: 'parked', name: sleepOf('a'), after: 1_000, at: null, signal })
    expect(kept).toEqual({ 'offstage:wait:go#1': String(NOW + 5_000) })
  })

  test('the end of code that went on is left to it', async () => {
    const { flow, journal, ending } = attempt()
    const end = Promise.race([flow.sleep('a', 1_000), flow.step('b', () => 'done')])
    expect(await end).toBe('done')
    // Its attempt is over by then, and nobody listens to the journal.
    expect(journal.park).not.toHaveBeenCalled()
    expect(ending.signal.aborted).toBe(false)
  })
})

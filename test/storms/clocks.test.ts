import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { long } from './support/chance.ts'
import { tell } from './support/figures.ts'
import { Fleet, type Instance } from './support/fleet.ts'
import { monotonic, only } from './support/journal.ts'
import { storm } from './support/rights.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const CLOCK = new URL('fixtures/clock.ts', import.meta.url)

const off = (fleet: Fleet, by: number): Promise<Instance> =>
  fleet.start({ node: ['--import', CLOCK.href], env: { STORM_CLOCK: String(by) } })

const told = (fleet: Fleet): readonly string[] =>
  only(fleet.lines(), 'told').map(({ event, data }) => `${event} ${JSON.stringify(data)}`)

/** Whoever is quicker claims a run that is not born claimed: another one, then. */
async function performedBy(fleet: Fleet, instance: Instance, input: object): Promise<string> {
  while (true) {
    const run = await instance.ask('start', 'work', input)
    if ((await fleet.begun(run)).pid === instance.pid) return run
  }
}

describe.concurrent('a wall clock that is wrong in one process', () => {
  storm.each([
    ['F20: an hour ahead', HOUR],
    ['F21: an hour behind', -HOUR],
  ])('%s: nobody is rescued who lives, and the dead are within their bounds', async (name, by) => {
    await using fleet = new Fleet()
    const right = await fleet.start()
    const wrong = await off(fleet, by)
    const long_ = { ms: 60_000 }
    const [ours, theirs] = [await performedBy(fleet, right, long_), await performedBy(fleet, wrong, long_)]
    // The injected clock is the one that the store goes by.
    const { createdAt } = await right.ask('status', 'work', theirs)
    expect(Math.abs(new Date(createdAt).getTime() - Date.now() - by)).toBeLessThan(60_000)
    await sleep(long(20_000, 3_000))
    expect(told(fleet)).toEqual([])
    const killed = await fleet.kill(right)
    const next = await fleet.begun(ours, 2)
    const wrongKilled = [next.at - killed]
    const spare = await fleet.start()
    const killedToo = await fleet.kill(wrong)
    const after = await fleet.begun(theirs, 2)
    expect(after.pid).toBe(spare.pid)
    wrongKilled.push(after.at - killedToo)
    tell(name.slice(0, 3), { 'taken over by the wrong clock': wrongKilled[0], 'by a right one': wrongKilled[1] })
    expect(Math.max(...wrongKilled)).toBeLessThanOrEqual(fleet.bound(2_000))
    expect(fleet.run(theirs)).toMatchObject({ attempt: 2, crashes: 1, tries: 2 })
  })
})

describe('F23: a due time', () => {
  storm('far in the future is kept, never early, and costs nothing while it waits', async () => {
    await using fleet = new Fleet()
    const instance = await fleet.start()
    const delays = { '30d': 30 * DAY, '36500d': 36_500 * DAY, [2 ** 31]: 2 ** 31, [2 ** 31 - 1]: 2 ** 31 - 1 }
    const runs: string[] = []
    for (const [given, ms] of Object.entries(delays)) {
      const delay = given.endsWith('d') ? (given as '30d') : Number(given)
      const run = await instance.ask('start', 'work', {}, { delay })
      const { createdAt, dueAt } = await instance.ask('status', 'work', run)
      expect(new Date(dueAt).getTime() - new Date(createdAt).getTime()).toBe(ms)
      runs.push(run)
    }
    await sleep(1_000)
    const before = await instance.ask('usage')
    const [at, during] = [monotonic(), long(60_000, 10_000)]
    await sleep(during)
    const after = await instance.ask('usage')
    const share = (after.cpu - before.cpu) / (monotonic() - at)
    tell('F23', { 'CPU %': share * 100, during })
    expect(share).toBeLessThan(0.01)
    for (const run of runs) expect(fleet.run(run)).toMatchObject({ state: 'waiting', attempt: 0 })
    expect(only(fleet.lines(), 'begin')).toEqual([])
  })

  storm('that is none is refused before anything is written', async () => {
    await using fleet = new Fleet()
    const instance = await fleet.start()
    // As they cross to the other process: `date` is an invalid Date there.
    const odd = [{ delay: -1 }, { delay: 'NaN' }, { delay: 'Infinity' }, { delay: '5' }, { delay: 'date' }]
    for (const options of [...odd, { at: 'date' }, { at: 'NaN' }, { at: '5' }])
      expect(await instance.ask('attempt', 'work', options), JSON.stringify(options)).toBe('OFFSTAGE_BAD_OPTION')
    expect(fleet.runs()).toEqual([])
  })
})

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { chance, long } from './support/chance.ts'
import { percentile, spread, tell } from './support/figures.ts'
import { Fleet, until, type Instance } from './support/fleet.ts'
import { monotonic, only, type Line } from './support/journal.ts'
import { storm } from './support/rights.ts'

/** Not later than that: when its start was acknowledged, or a little before where it was born claimed. Its time counts from there. */
const claimed = async (fleet: Fleet, run: string): Promise<number> =>
  (await fleet.seen((line) => line.what === 'ack' && line.run === run)).at

/** What was told of the death of somebody. */
const rescues = (fleet: Fleet): readonly Line[] =>
  only(fleet.lines(), 'told').filter(({ event }) => event === 'run:rescued' || event === 'instance:dead')

/** Several of them wait most of their time: they wait together. */
describe.concurrent('F14: a zombie, stopped at a barrier of its task with a timeout of 5 s,', () => {
  storm.each([
    ['its code succeeds', { ends: 'succeeds', lastFails: false }],
    ['its code fails', { ends: 'fails', lastFails: false }],
    ['the other attempt was the last and failed, its code fails', { ends: 'fails', lastFails: true }],
    ['the other attempt was the last and failed, its code succeeds', { ends: 'succeeds', lastFails: true }],
  ] as const)('changes nothing when it wakes: %s', async (name, { ends, lastFails }) => {
    await using fleet = new Fleet()
    const gate = join(fleet.folder, 'gate')
    const starter = await fleet.start({ options: { worker: false } })
    const zombie = await fleet.start()
    const run = await starter.ask('start', 'zombie', { gate, ends, lastFails })
    const { at: begun } = await fleet.begun(run)
    await zombie.stop()
    const other = await fleet.start()
    const second = await fleet.begun(run, 2, 15_000)
    tell(`F14, ${name}`, { 'claim to take-over': second.at - begun })
    expect(second.pid).toBe(other.pid)
    expect(second.at - (await claimed(fleet, run))).toBeGreaterThanOrEqual(5_000)
    expect(second.at - begun).toBeLessThanOrEqual(5_000 + fleet.bound(2_000))
    await fleet.seen((line) => line.what === 'settled' && line.run === run)
    writeFileSync(gate, '')
    const woken = monotonic()
    zombie.resume()
    await allRefused(fleet, { zombie, run, woken })
    expect(await starter.ask('status', 'zombie', run)).toMatchObject({
      state: lastFails ? 'failed' : 'succeeded',
      attempt: 2,
      progress: null,
    })
    // No child of it: itself, and what its process was asked for afterwards.
    expect(fleet.runs().map(({ parent }) => parent)).toEqual([null, null])
    // Nothing but the one repeat that its timeout allows; where an attempt threw, it counts as that.
    const repeated = ends === 'succeeds' && !lastFails ? ['repeats 1 > 0'] : []
    expect(fleet.judged().found).toEqual(repeated)
  })
})

describe.concurrent('F14: a zombie that wakes', () => {
  storm('while the other attempt is under way changes nothing of it', async () => {
    await using fleet = new Fleet()
    const [gate, second] = [join(fleet.folder, 'gate'), join(fleet.folder, 'second')]
    const starter = await fleet.start({ options: { worker: false } })
    const zombie = await fleet.start()
    const run = await starter.ask('start', 'zombie', { gate, second, ends: 'succeeds', lastFails: false })
    await fleet.begun(run)
    await zombie.stop()
    await fleet.start()
    await fleet.begun(run, 2, 15_000)
    writeFileSync(gate, '')
    const woken = monotonic()
    zombie.resume()
    await allRefused(fleet, { zombie, run, woken })
    expect(fleet.run(run)).toMatchObject({ state: 'running', attempt: 2 })
    writeFileSync(second, '')
    await fleet.seen((line) => line.what === 'settled' && line.run === run)
    expect(fleet.judged().found).toEqual(['repeats 1 > 0'])
  })

  storm('when its own attempt was ended as the last, timed out, changes nothing of that', async () => {
    await using fleet = new Fleet()
    const gate = join(fleet.folder, 'gate')
    const starter = await fleet.start({ options: { worker: false } })
    const zombie = await fleet.start()
    const run = await starter.ask('start', 'lastZombie', { gate, ends: 'succeeds', lastFails: false })
    const { at } = await fleet.begun(run)
    await zombie.stop()
    await fleet.start()
    const failed = await until(() => fleet.run(run)?.state === 'failed' && monotonic(), 15_000, 'its end')
    expect(failed - at).toBeLessThanOrEqual(5_000 + fleet.bound(2_000))
    writeFileSync(gate, '')
    const woken = monotonic()
    zombie.resume()
    await allRefused(fleet, { zombie, run, woken })
    expect(fleet.run(run)).toMatchObject({ state: 'failed', reason: 'timeout', attempt: 1, result: null })
    expect(fleet.judged().found).toEqual([])
  })
})

/** Four writes and its end; and its code is told in time. */
async function allRefused(
  fleet: Fleet,
  { zombie, run, woken }: { readonly zombie: Instance; readonly run: string; readonly woken: number },
): Promise<void> {
  const mine = (line: Line): boolean => line.pid === zombie.pid && line.at > woken
  const fenced = await fleet.seen((line) => mine(line) && line.what === 'told' && line.event === 'run:fenced')
  const aborted = await fleet.seen((line) => mine(line) && line.what === 'saw' && line.sight === 'aborted')
  await fleet.seen((line) => mine(line) && (line.what === 'end' || line.what === 'threw') && line.run === run)
  // Written behind its end: whatever the zombie still had to say has reached the store when this has.
  await zombie.ask('start', 'work', {}).then((id) => fleet.seen((line) => line.what === 'settled' && line.run === id))
  tell('F14', { 'woken to aborted': aborted.at - woken, 'woken to run:fenced': fenced.at - woken })
  expect(aborted.at - woken).toBeLessThanOrEqual(fleet.bound(1_000))
  // Its own timeout has passed meanwhile as well: whichever came first.
  expect(['OFFSTAGE_FENCED', 'OFFSTAGE_TIMEOUT']).toContain(only([aborted], 'saw')[0]?.code)
  const codes = only(fleet.lines(), 'saw').filter(({ sight }) => sight === 'step' || sight === 'child')
  expect(codes.length).toBe(2)
  for (const { code } of codes) expect(['OFFSTAGE_FENCED', 'OFFSTAGE_TIMEOUT']).toContain(code)
}

describe.concurrent('pauses', () => {
  storm('F16: everything freezes and goes on: nothing is repeated', async () => {
    const frozen = long(60_000, 5_000)
    await using fleet = new Fleet()
    const all = await Promise.all([1, 2, 3].map(() => fleet.start()))
    const ms = frozen / 2 + 1_000
    for (const instance of all)
      await instance.ask(
        'startMany',
        'work',
        Array.from({ length: 8 }, () => ({ ms })),
      )
    await sleep(500)
    await Promise.all(all.map((instance) => instance.stop()))
    await sleep(frozen)
    for (const instance of all) instance.resume()
    await fleet.quiet(ms + 20_000)
    const { verdict, found } = fleet.judged()
    tell('F16', { frozen, runs: verdict.acknowledged, repeats: verdict.repeats, rescues: rescues(fleet).length })
    expect({ found, repeats: verdict.repeats, rescues: rescues(fleet) }).toEqual({
      found: [],
      repeats: 0,
      rescues: [],
    })
  })

  storm(
    'F17: user code blocks the event loop: nothing is repeated, other processes go on, and it is named',
    async () => {
      const ms = long(30_000, 6_000)
      await using fleet = new Fleet()
      const blocked = await fleet.start()
      const other = await fleet.start()
      const neighbours = await blocked.ask(
        'startMany',
        'work',
        Array.from({ length: 4 }, () => ({ ms: 1_000 })),
      )
      for (const run of neighbours) await fleet.begun(run)
      const run = await blocked.ask('start', 'blocking', { ms })
      await fleet.begun(run)
      await other.ask(
        'spray',
        'work',
        Array.from({ length: ms / 100 }, () => ({ ms: 5 })),
        50,
      )
      const { at: unblocked } = await fleet.seen((line) => line.what === 'end' && line.run === run, ms)
      await fleet.quiet(20_000)
      const { verdict, found } = fleet.judged()
      const waits = beginnings(fleet.lines(), other.pid)
      tell('F17', { blocked: ms, repeats: verdict.repeats, ...spread(waits) })
      expect({ found, repeats: verdict.repeats, rescues: rescues(fleet) }).toEqual({
        found: [],
        repeats: 0,
        rescues: [],
      })
      expect(percentile(waits, 99)).toBeLessThanOrEqual(fleet.bound(1_000))
      const named = await fleet.seen(
        (line) =>
          line.what === 'told' && line.event === 'task:blocking' && JSON.stringify(line.data).includes('"blocking"'),
      )
      expect(named.at - unblocked).toBeLessThanOrEqual(fleet.bound(2_000))
    },
  )

  storm('F18: an endless loop on a thread is ended a second after its timeout at the latest', async () => {
    await using fleet = new Fleet()
    const instance = await fleet.start()
    const run = await instance.ask('start', 'hangsOnThread', {})
    await fleet.begun(run)
    const { at: ended } = await fleet.seen((line) => line.what === 'settled' && line.run === run)
    const at = await claimed(fleet, run)
    tell('F18 on a thread', { 'claim to end': ended - at })
    expect(ended - at).toBeGreaterThanOrEqual(4_900)
    expect(ended - at).toBeLessThanOrEqual(5_000 + fleet.bound(1_000))
    expect(fleet.run(run)).toMatchObject({ state: 'failed', reason: 'timeout', attempt: 1 })
  })

  storm('F18: of one on the event loop another instance ends the attempt, and the hung one is named', async () => {
    await using fleet = new Fleet()
    const hung = await fleet.start()
    const run = await hung.ask('start', 'hangs', {})
    const { at: begun } = await fleet.begun(run)
    const other = await fleet.start()
    const second = await fleet.begun(run, 2, 15_000)
    tell('F18 on the event loop', { 'begin to taken over': second.at - begun })
    expect(second.pid).toBe(other.pid)
    expect(second.at - (await claimed(fleet, run))).toBeGreaterThanOrEqual(5_000)
    expect(second.at - begun).toBeLessThanOrEqual(5_000 + fleet.bound(2_000))
    await fleet.seen((line) => line.what === 'settled' && line.run === run)
    expect(fleet.run(run)).toMatchObject({ state: 'succeeded', attempt: 2 })
    // By the thread that watches: the logger is on the one that hangs.
    expect(fleet.stderr()).toContain('"hangs"')
    await fleet.kill(hung)
  })

  storm('F19: pauses of 50 to 2,000 ms, everywhere: nothing is repeated, nobody is taken for dead', async () => {
    const { between, whole, pick } = chance('F19')
    const ms = long(60_000, 10_000)
    await using fleet = new Fleet()
    const all = await Promise.all([1, 2, 3].map(() => fleet.start()))
    const sprays = all.map((instance) =>
      instance.ask(
        'spray',
        'work',
        Array.from({ length: ms / 100 }, () => ({ ms: whole(10, 300), steps: whole(0, 2) })),
        100,
      ),
    )
    let pauses = 0
    const paused = async (): Promise<void> => {
      for (const until = monotonic() + ms; monotonic() < until; pauses++) {
        const victim = pick(all)
        await victim.stop()
        await sleep(between(50, 2_000))
        victim.resume()
        await sleep(between(50, 300))
      }
    }
    // Two at a time: at times all but one stand.
    await Promise.all([paused(), paused(), ...sprays])
    for (const instance of all) instance.resume()
    await fleet.quiet(20_000)
    const { verdict, found } = fleet.judged()
    tell('F19', { pauses, runs: verdict.acknowledged, repeats: verdict.repeats, rescues: rescues(fleet).length })
    expect({ found, repeats: verdict.repeats, rescues: rescues(fleet) }).toEqual({
      found: [],
      repeats: 0,
      rescues: [],
    })
  })
})

/** How long after its acknowledgement each run began there. */
function beginnings(lines: readonly Line[], pid: number): readonly number[] {
  const acks = new Map(only(lines, 'ack').map(({ run, at }) => [run, at]))
  return only(lines, 'begin')
    .filter((line) => line.pid === pid)
    .map(({ run, at }) => at - acks.get(run)!)
}

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { chance, long, SEED } from './support/chance.ts'
import { tell } from './support/figures.ts'
import { Fleet, type Instance } from './support/fleet.ts'
import { monotonic, only } from './support/journal.ts'
import type { Hindrance } from './support/setup.ts'
import { storm } from './support/rights.ts'
import { integrity } from './support/store.ts'

/** A lost claim is given back after two looks, and the next reply may be lost as well. */
const ENDED = 10_000

/** What the store does is real; what an application hears of it is not always. */
const hindered = (fleet: Fleet, hindrance: Hindrance): Promise<Instance> =>
  fleet.start({ hindrance, env: { SEED: String(SEED) } })

/** Those that have no end when all had the time for it. */
async function stuck(fleet: Fleet, within = ENDED): Promise<readonly string[]> {
  await fleet.quiet(within).catch(() => undefined) // it is said below which
  const open = fleet.runs().filter(({ state }) => state === 'waiting' || state === 'running')
  return open.map(
    ({ id, state, pid }) => `${id} is ${state}, ${pid === null ? 'nobody has it' : `the process ${pid} has it`}`,
  )
}

const lost = (fleet: Fleet, sight: string): number =>
  only(fleet.lines(), 'saw').filter((line) => line.sight === sight).length

/** Runs whose tries are not those that were begun; of those that a killed process had, nobody knows. */
function charged(fleet: Fleet): readonly string[] {
  const lines = fleet.lines()
  const hit = new Set(only(lines, 'killed').flatMap(({ held }) => held))
  const begun = Map.groupBy(only(lines, 'begin'), ({ run }) => run)
  return fleet
    .runs()
    .filter(({ id, tries }) => !hit.has(id) && tries !== begun.get(id)?.length)
    .map(({ id, tries }) => `${id}: ${tries} tries, ${begun.get(id)?.length} begun`)
}

describe('a reply that gave a run to a living process is lost:', () => {
  storm('of a claim: the run is given back, not charged, and performed', async () => {
    await using fleet = new Fleet()
    await hindered(fleet, { name: 'claim', losesGrant: 'claim' })
    const starter = await fleet.start({ options: { worker: false } })
    const run = await starter.ask('start', 'work', {})
    await givenBack(fleet)
    expect(fleet.runs()).toMatchObject([{ id: run, state: 'succeeded', attempt: 2, tries: 1, crashes: 0 }])
  })

  storm('of a start: so is one that was born claimed, though its starter was told of an error', async () => {
    await using fleet = new Fleet()
    const starter = await hindered(fleet, { name: 'start', losesGrant: 'insert' })
    let told: unknown
    // The first may be started before it is known that no older ones wait: then it is not born claimed.
    while (told === undefined) {
      const run = await starter.ask('start', 'work', {}).catch((error: Error) => void (told = error.message))
      if (run !== undefined) await fleet.seen((line) => line.what === 'settled' && line.run === run)
    }
    await givenBack(fleet)
    expect(told).toBe('reply lost that granted runs')
    expect(fleet.runs().at(-1)).toMatchObject({ state: 'succeeded', attempt: 2, tries: 1, crashes: 0 })
    expect(fleet.judged().verdict.recovered).toBe(1)
  })
})

async function givenBack(fleet: Fleet): Promise<void> {
  const { at } = await fleet.seen((line) => line.what === 'saw' && line.sight === 'reply lost that granted runs')
  expect(await stuck(fleet, 5_000), 'runs that nobody performs').toEqual([])
  tell('a lost grant', { 'lost to performed': monotonic() - at })
  expect(fleet.judged()).toMatchObject({ found: [], verdict: { repeats: 0 } })
}

storm('a rescue whose reply is late undoes nothing of what was done meanwhile', async () => {
  await using fleet = new Fleet()
  const gate = join(fleet.folder, 'gate')
  const starter = await fleet.start({ options: { worker: false } })
  const holder = await fleet.start()
  const never = join(fleet.folder, 'never')
  const run = await starter.ask('start', 'zombie', { gate: never, ends: 'succeeds', lastFails: false })
  await fleet.begun(run)
  const late = await hindered(fleet, { name: 'late', late: { kind: 'rescue', gate } })
  await fleet.kill(holder)
  await fleet.seen((line) => line.pid === late.pid && line.what === 'saw' && line.sight === 'reply late')
  // It takes the run back where the late one has not, and one of them performs it.
  await fleet.start()
  await fleet.seen((line) => line.what === 'settled' && line.run === run)
  writeFileSync(gate, '')
  await fleet.seen((line) => line.pid === late.pid && line.what === 'saw' && line.sight === 'reply here')
  // Written behind whatever the late one makes of it.
  const behind = await late.ask('start', 'work', {})
  await fleet.seen((line) => line.what === 'settled' && line.run === behind)
  expect(await stuck(fleet), 'runs that nobody performs').toEqual([])
  expect(fleet.judged()).toMatchObject({ found: [], verdict: { repeats: 1, allowed: 1 } })
  expect(fleet.run(run)).toMatchObject({ state: 'succeeded', attempt: 2 })
})

storm('replies are lost, and processes die: nothing else is', async () => {
  const { between, whole, pick } = chance('replies')
  const ms = long(60_000, 8_000)
  await using fleet = new Fleet()
  let number = 0
  const next = (): Promise<Instance> => hindered(fleet, { name: `replies ${++number}`, lost: 0.15 })
  const input = (): object => ({ ms: whole(0, 40), steps: whole(0, 2), failures: pick([0, 0, 0, 1]) })
  const until = monotonic() + ms
  const going: Promise<unknown>[] = []
  const begins = async (): Promise<Instance> => {
    const instance = await next()
    const inputs = Array.from({ length: Math.max(1, (until - monotonic()) / 40) }, input)
    going.push(instance.ask('spray', 'work', inputs, 40).catch(() => 'killed'))
    return instance
  }
  const all = await Promise.all([begins(), begins(), begins()])
  let kills = 0
  for (; monotonic() < until; kills++) {
    await sleep(between(800, 2_500))
    const victim = pick(all)
    await fleet.kill(victim)
    all[all.indexOf(victim)] = await begins()
  }
  await Promise.all(going)
  const left = await stuck(fleet)
  const { verdict, found } = fleet.judged()
  const { acknowledged, recovered, repeats, allowed } = verdict
  const grants = lost(fleet, 'reply lost that granted runs')
  const [before, after] = [lost(fleet, 'reply lost before the commit'), lost(fleet, 'reply lost after the commit')]
  tell('lost replies', { acknowledged, recovered, repeats, allowed, kills, grants, before, after })
  expect(left, 'runs that nobody performs').toEqual([])
  expect(found).toEqual([])
  expect(charged(fleet), 'runs that were charged for what was not begun').toEqual([])
  expect(integrity(fleet.database)).toBe('ok')
  // Else nothing was shown.
  expect(Math.min(grants, before, after)).toBeGreaterThan(5)
})

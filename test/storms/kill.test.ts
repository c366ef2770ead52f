import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { chance, long } from './support/chance.ts'
import { recoveries } from './support/deaths.ts'
import { spread, tell } from './support/figures.ts'
import { Fleet, type Instance } from './support/fleet.ts'
import { monotonic, only } from './support/journal.ts'
import { storm } from './support/rights.ts'
import { integrity } from './support/store.ts'

/** The fault table's, on one machine. */
const RECOVERED = { p50: 1_000, p99: 2_000 }
const ENDED = 10_000

function held(fleet: Fleet, name: string, more: Readonly<Record<string, unknown>> = {}): void {
  const { verdict, found } = fleet.judged()
  const again = recoveries(fleet.lines())
  const { acknowledged, recovered, repeats, allowed } = verdict
  const poisoned = fleet.runs().filter(({ reason }) => reason === 'poisoned').length
  const all = spread(again.map(({ took }) => took))
  // Under a machine's load no process may be there for a while: the bounds are of the time in which one is.
  const attended = spread(again.map((one) => one.attended))
  const next = { 'begun again': all['count'], p50: all['p50'], p99: all['p99'] }
  const there = { 'somebody there: p50': attended['p50'], 'p99 ': attended['p99'] }
  tell(name, { acknowledged, recovered, repeats, allowed, poisoned, ...next, ...there, ...more })
  expect(found).toEqual([])
  if (again.length > 0) expect(attended['p50']).toBeLessThanOrEqual(fleet.bound(RECOVERED.p50))
  if (again.length > 0) expect(attended['p99']).toBeLessThanOrEqual(fleet.bound(RECOVERED.p99))
  expect(integrity(fleet.database)).toBe('ok')
}

storm('F1: three working instances, one killed every 100 to 600 ms, lose nothing', async () => {
  const { between, whole, pick } = chance('F1')
  const [runs, deaths] = [long(5_000, 1_500), long(170, 20)]
  await using fleet = new Fleet()
  const starter = await fleet.start({ options: { worker: false } })
  const workers = await Promise.all([1, 2, 3].map(() => fleet.start()))
  // Where a process needs longer to begin, they die less often: else there would be none to kill.
  const pace = Math.min(fleet.slowness, 4)
  const inputs = Array.from({ length: runs }, () => ({ ms: whole(1, 50), steps: whole(0, 2) }))
  const sprayed = starter.ask('spray', 'work', inputs, (deaths * 350 * pace) / runs)
  let last = 0
  for (let death = 0; death < deaths; death++) {
    await sleep(between(100, 600) * pace)
    const victim = pick(workers)
    if (!victim.isOver) last = await fleet.kill(victim)
    workers[workers.indexOf(victim)] = fleet.launch()
  }
  expect(await sprayed).toBe(runs)
  const after = (await fleet.quiet(ENDED)) - last
  const hit = only(fleet.lines(), 'killed').filter((kill) => kill.held.length > 0).length
  held(fleet, 'F1', { kills: deaths, hit, 'all ended after': after })
  // Some of them hit what was being performed: else nothing was shown.
  expect(hit).toBeGreaterThan(0)
})

storm(
  'F3: a starter killed around its acknowledgements: what it acknowledged is performed, nothing ends twice',
  async () => {
    const { between, whole } = chance('F3')
    const [rounds, starts] = [long(20, 5), long(1_000, 300)]
    await using fleet = new Fleet()
    const worker = await fleet.start()
    for (let round = 0; round < rounds; round++) {
      const starter = await fleet.start({ options: { worker: false } })
      const inputs = Array.from({ length: starts }, () => ({}))
      const sprayed = starter.ask('spray', 'work', inputs, 1).then(
        () => 'all',
        () => 'killed',
      )
      const at = whole(1, starts - 50)
      while ((await starter.ask('asked')) < at) await sleep(1)
      await sleep(between(0, 20))
      await fleet.kill(starter)
      await sprayed
    }
    await fleet.quiet(ENDED)
    expect(worker.isOver).toBe(false)
    held(fleet, 'F3', { tried: only(fleet.lines(), 'try').length })
    expect(only(fleet.lines(), 'ack').length).toBeGreaterThan(rounds)
  },
)

describe('F9: a task on the event loop that ends its process', () => {
  storm.each(['exit', 'abort', 'segfault'] as const)(
    'by %s is one of the dead: its neighbours go on elsewhere',
    async (how) => {
      await using fleet = new Fleet()
      const starter = await fleet.start({ options: { worker: false } })
      let first = await fleet.start()
      const second = await fleet.start({ options: { worker: { concurrency: 1 } } })
      const inputs = Array.from({ length: 20 }, () => ({ ms: 100 }))
      const sprayed = starter.ask('spray', 'work', inputs, 5)
      const lethal = await starter.ask('start', 'lethal', { how, times: 1 })
      const dead = await Promise.race([first, second].map(async (one) => ({ one, ended: await fleet.died(one) })))
      expect(how === 'exit' ? dead.ended.code : dead.ended.signal).toBe(
        { exit: 3, abort: 'SIGABRT', segfault: 'SIGSEGV' }[how],
      )
      first = await fleet.start()
      await sprayed
      await fleet.quiet(ENDED)
      held(fleet, `F9 ${how}`)
      expect(fleet.run(lethal)).toMatchObject({ state: 'succeeded', attempt: 2 })
    },
  )

  storm('each time ends poisoned after three of them, and nothing else does', async () => {
    await using fleet = new Fleet()
    const starter = await fleet.start({ options: { worker: false } })
    const lethal = await starter.ask('start', 'lethal', { how: 'exit', times: 9 })
    const neighbours = await starter.ask(
      'startMany',
      'work',
      Array.from({ length: 5 }, () => ({ ms: 200 })),
    )
    for (let death = 1; death <= 3; death++) await fleet.died(fleet.launch())
    await fleet.start()
    await fleet.quiet(ENDED)
    const { found } = fleet.judged()
    expect(found).toEqual([])
    expect(fleet.run(lethal)).toMatchObject({ state: 'failed', reason: 'poisoned', attempt: 3 })
    for (const id of neighbours) expect(fleet.run(id)?.state).toBe('succeeded')
  })
})

storm('eight processes with 32 places each on one file: no SQLITE_BUSY reaches a user, none is lost', async () => {
  const { between, whole, pick } = chance('eight')
  const ms = long(600_000, 12_000)
  await using fleet = new Fleet()
  const options = { worker: { concurrency: 32 } }
  const all = await Promise.all(Array.from({ length: 8 }, () => fleet.start({ options })))
  const until = monotonic() + ms
  const rounds = (instance: Instance): Promise<unknown> => go(instance).catch(() => 'killed')
  const input = (): object => ({ ms: whole(0, 40), steps: whole(0, 3), failures: pick([0, 0, 0, 1, 2]) })
  const go = async (instance: Instance): Promise<void> => {
    while (monotonic() < until) await instance.ask('spray', 'work', Array.from({ length: 20 }, input), 40)
  }
  const going = all.map((instance) => rounds(instance))
  let kills = 0
  for (; monotonic() < until; kills++) {
    await sleep(between(500, 2_500))
    const victim = pick(all)
    if (!victim.isOver) await fleet.kill(victim)
    const next = await fleet.start({ options })
    all[all.indexOf(victim)] = next
    going.push(rounds(next))
  }
  await Promise.all(going)
  await fleet.quiet(30_000)
  const refused = only(fleet.lines(), 'refused')
  const said = fleet.lines().filter((line) => /SQLITE_BUSY|STORE_BUSY|database is locked/.test(JSON.stringify(line)))
  held(fleet, 'eight processes', { kills, refused: refused.length, busy: said.length })
  expect(said).toEqual([])
  expect(refused).toEqual([])
})

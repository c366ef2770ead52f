import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { long } from './support/chance.ts'
import { percentile, spread, tell } from './support/figures.ts'
import { Fleet } from './support/fleet.ts'
import { monotonic, only } from './support/journal.ts'

/** Of the default backoff, 1 s doubling, jittered to between its half and its whole: at most so many in that time. */
function most(ms: number): number {
  let tries = 1
  for (let wait = 500, at = wait; at <= ms; at += wait) {
    tries++
    wait *= 2
  }
  return tries
}

test('F54: a storm of retries: no more tries than its backoff allows, and healthy runs begin within a second', async () => {
  const [failing, ms] = [long(10_000, 1_000), long(60_000, 8_000)]
  await using fleet = new Fleet()
  const starter = await fleet.start({ options: { worker: false } })
  const worker = await fleet.start()
  const at = monotonic()
  const before = await worker.ask('usage')
  for (let started = 0; started < failing; started += 1_000)
    await starter.ask(
      'startMany',
      'failing',
      Array.from({ length: 1_000 }, () => ({})),
    )
  await starter.ask(
    'spray',
    'work',
    Array.from({ length: ms / 50 }, () => ({})),
    50,
  )
  await sleep(500)
  const took = monotonic() - at
  const after = await worker.ask('usage')
  const lines = fleet.lines()
  const acks = new Map(only(lines, 'ack').map((ack) => [ack.run, ack.at]))
  const begins = only(lines, 'begin')
  const waits = begins.filter(({ task }) => task === 'work').map((begin) => begin.at - acks.get(begin.run)!)
  const tries = [
    ...Map.groupBy(
      begins.filter(({ task }) => task === 'failing'),
      ({ run }) => run,
    ).values(),
  ]
  const cores = (after.cpu - before.cpu) / took
  const sum = tries.reduce((total, one) => total + one.length, 0)
  tell('F54', { failing, 'tries/s': (sum / took) * 1_000, 'CPU of one core': cores, ...spread(waits) })
  expect(waits.length).toBe(ms / 50)
  expect(tries.length).toBe(failing)
  expect(Math.max(...tries.map((one) => one.length))).toBeLessThanOrEqual(most(took))
  expect(cores).toBeLessThanOrEqual(1)
  expect(percentile(waits, 99)).toBeLessThanOrEqual(fleet.bound(1_000))
  // Each try of each run began once, in order.
  expect(fleet.judged().verdict.disordered).toEqual([])
})

import { expect } from 'vitest'
import { tell } from './support/figures.ts'
import { Fleet } from './support/fleet.ts'
import { storm } from './support/rights.ts'
import { damage } from './support/store.ts'

/** F44: each is one damaged row; `alone` is what must become of it in the end, or it is only shown. */
const DAMAGES: readonly (readonly [what: string, of: 'waiting' | 'running', set: string])[] = [
  ['an input that is no JSON', 'waiting', `input = '{"ms":'`],
  ['tags that are no JSON', 'waiting', `tags = '["'`],
  ['an error that is no JSON', 'waiting', `error = '{"name":'`],
  ['progress that is no JSON', 'waiting', `progress = '{"done":'`],
  ['an unknown state', 'waiting', `state = 'limbo'`],
  ['an attempt and tries above the maximum', 'waiting', `attempt = 2000, tries = 2000`],
  ['no owner', 'running', `instance = null`],
  ['an attempt and tries above the maximum, running', 'running', `attempt = 2000, tries = 2000`],
  ['an unknown state, running', 'running', `state = 'limbo'`],
  ['tags that are no JSON, running', 'running', `tags = '["'`],
]

storm.each(DAMAGES)(
  'F44: a row with %s does not keep the others from being rescued, and is shown or fails alone',
  async (what, of, set) => {
    await using fleet = new Fleet()
    const starter = await fleet.start({ options: { worker: false } })
    const holder = await fleet.start({ options: { worker: { concurrency: 4 } } })
    const running = await starter.ask(
      'startMany',
      'work',
      Array.from({ length: 4 }, () => ({ ms: 60_000 })),
    )
    for (const run of running) await fleet.begun(run)
    const waiting = await starter.ask(
      'startMany',
      'work',
      Array.from({ length: 4 }, () => ({ ms: 10 })),
    )
    const victim = (of === 'running' ? running : waiting)[1]!
    damage(fleet.database, victim, set)
    const killed = await fleet.kill(holder)
    await fleet.start()
    const others = [...running, ...waiting].filter((run) => run !== victim)
    const begins = await Promise.all(others.map((run) => fleet.begun(run, running.includes(run) ? 2 : 1, 5_000)))
    const last = Math.max(...begins.map(({ at }) => at)) - killed
    tell(`F44, ${what}`, { 'others begun again after': last, victim: fleet.run(victim)?.state })
    expect(last).toBeLessThanOrEqual(fleet.bound(2_000))
    for (const run of waiting)
      if (run !== victim) await fleet.seen((line) => line.what === 'settled' && line.run === run)
    const shown = await starter.ask('status', 'work', victim).then(
      ({ id }) => id,
      ({ code }: { code: string }) => code,
    )
    expect([victim, 'OFFSTAGE_STORE_CORRUPT']).toContain(shown)
    // Where nothing but the owner is missing, it is an orphan like any other.
    if (set === 'instance = null') await fleet.begun(victim, 2, 2_000)
  },
)

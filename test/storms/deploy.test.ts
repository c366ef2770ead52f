import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect } from 'vitest'
import { tell } from './support/figures.ts'
import { Fleet } from './support/fleet.ts'
import { storm } from './support/rights.ts'
import { makeNewer } from './support/store.ts'

describe.concurrent('F43: a rolling deploy', () => {
  storm(
    'what the old code does not know waits, is given back when its process dies, and is never discarded; its silence is told',
    async () => {
      await using fleet = new Fleet()
      const old = await fleet.start({ tasks: 'v1' })
      const starter = await fleet.start({ tasks: 'v2', options: { worker: false } })
      const kept = await starter.ask('start', 'kept', {})
      const changed = await starter.ask('start', 'changed', {})
      const formerly = await old.ask('start', 'changed', {})
      const fresh = await fleet.start({ tasks: 'v2', options: { worker: { concurrency: 1 } } })
      await fleet.seen((line) => line.what === 'settled' && line.run === changed)
      const added = await starter.ask('start', 'added', { ms: 3_000 })
      await fleet.begun(added)
      const unknown = await starter.ask('start', 'changed', {})
      const killed = await fleet.kill(fresh)
      const back = await fleet.seen(
        (line) => line.what === 'told' && line.event === 'run:rescued' && JSON.stringify(line.data).includes(added),
      )
      expect(back.pid).toBe(old.pid)
      expect(back.at - killed).toBeLessThanOrEqual(fleet.bound(2_000))
      expect(fleet.run(added)).toMatchObject({ state: 'waiting', crashes: 1, attempt: 1 })
      const alarm = await fleet.seen(
        (line) => line.what === 'told' && line.event === 'task:unknown' && JSON.stringify(line.data).includes('"deaf"'),
        // It is looked for every half minute.
        95_000,
      )
      tell('F43', { 'dead to given back': back.at - killed, 'given back to alarm': alarm.at - back.at })
      expect(alarm.at - back.at).toBeGreaterThan(55_000)
      // Somebody who knows them comes: all of them end, the older version's where it was.
      await fleet.start({ tasks: 'v2' })
      await fleet.quiet(10_000)
      for (const id of [kept, changed, formerly, added, unknown]) expect(fleet.run(id)?.state).toBe('succeeded')
      expect(fleet.judged().verdict.lost).toEqual([])
    },
  )

  storm('the old code refuses a newer schema before it touches anything', async () => {
    await using fleet = new Fleet()
    const instance = await fleet.start()
    await instance.ask('start', 'work', {})
    await fleet.quiet(5_000)
    await instance.ask('close')
    instance.signal('SIGKILL')
    await instance.exited
    makeNewer(fleet.database)
    const bytes = (): string => createHash('sha256').update(readFileSync(fleet.database)).digest('hex')
    const before = bytes()
    await expect(fleet.start()).rejects.toThrow('OFFSTAGE_STORE_VERSION')
    expect(bytes()).toBe(before)
  })
})

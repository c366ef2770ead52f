import { describe, expect, test } from 'vitest'
import { tell } from './support/figures.ts'
import { Fleet } from './support/fleet.ts'
import { only } from './support/journal.ts'

describe('F10: a failure that a task sets free', () => {
  test.each(['strays', 'durableStrays'])(
    'of %s is told once with its name; the process lives, no attempt counts twice',
    async (task) => {
      await using fleet = new Fleet()
      const instance = await fleet.start()
      for (const how of ['promise', 'timer', 'emitter']) {
        const run = await instance.ask('start', task, { how })
        const message = `stray ${how}`
        const told = await fleet.seen((line) => line.what === 'told' && JSON.stringify(line.data).includes(message))
        expect(told).toMatchObject({
          event: 'task:stray',
          data: { task, claim: { run, attempt: 1 }, error: { message } },
        })
        await fleet.seen((line) => line.what === 'settled' && line.run === run)
        expect(await instance.ask('status', task, run)).toMatchObject({ state: 'succeeded', attempt: 1, tries: 1 })
      }
      const strays = only(fleet.lines(), 'told').filter(({ event }) => event === 'task:stray')
      tell(`F10 ${task}`, { told: strays.length, begun: only(fleet.lines(), 'begin').length })
      expect(strays.length).toBe(3)
      expect(only(fleet.lines(), 'begin').length).toBe(3)
      expect(instance.isOver).toBe(false)
    },
  )
})

describe('F9: a task on a thread', () => {
  test.each([
    ['lethalThread', 'exit'],
    ['lethalThread', 'abort'],
    ['lethalDurableThread', 'exit'],
    ['lethalDurableThread', 'abort'],
  ])('%s that calls process.%s fails alone, and its thread is replaced', async (task, how) => {
    await using fleet = new Fleet()
    const instance = await fleet.start({ options: { threads: { size: 1 } } })
    await instance.ask('execute', 'onThread', {}) // the first one is there
    await expect(instance.ask('execute', task, { how })).rejects.toMatchObject({ code: 'OFFSTAGE_RUN_FAILED' })
    const begun = performance.now()
    expect(await instance.ask('execute', 'onThread', {})).toEqual({ attempt: 1 })
    const replaced = performance.now() - begun
    tell(`F9 ${task} ${how}`, { 'replaced and performing after': replaced })
    expect(replaced).toBeLessThanOrEqual(fleet.bound(250))
    expect(instance.isOver).toBe(false)
  })
})

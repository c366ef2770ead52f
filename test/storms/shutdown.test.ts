import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { tell } from './support/figures.ts'
import { Fleet } from './support/fleet.ts'
import { monotonic, only } from './support/journal.ts'
import { storm } from './support/rights.ts'

const GRACE = { shutdown: { grace: '1s' } }

describe('F6: SIGTERM, and the tasks are shorter than the grace:', () => {
  storm.each([
    ['ours is the only listener, the process exits with 0', false, 0],
    ['the application listens too, the exit is its own', true, 7],
  ])('%s', async (_, listens, code) => {
    await using fleet = new Fleet()
    const instance = await fleet.start({ http: true, listens, options: { worker: { concurrency: 50 } } })
    // Long enough that all of them have begun before the first one ends.
    const longest = Math.round(Math.min(fleet.bound(1_500), 5_000))
    const running = await instance.ask(
      'startMany',
      'work',
      Array.from({ length: 50 }, () => ({ ms: longest })),
    )
    const waiting = await instance.ask(
      'startMany',
      'work',
      Array.from({ length: 5 }, () => ({ ms: 10 })),
    )
    for (const run of running) await fleet.begun(run)
    const at = monotonic()
    instance.signal('SIGTERM')
    await sleep(200)
    const answer = await fetch(`http://127.0.0.1:${instance.port}/`, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    })
    expect(answer.status).toBe(503)
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    const ended = await instance.exited
    expect(ended).toMatchObject({ code, signal: null })
    tell(`F6 ${listens ? 'with a listener' : 'alone'}`, { 'signal to exit': ended.at - at, longest })
    expect(ended.at - at).toBeLessThanOrEqual(longest + fleet.bound(500))
    // Nothing was claimed after the signal, nothing is repeated, nothing lost.
    expect(only(fleet.lines(), 'begin').filter((begin) => begin.at > at)).toEqual([])
    for (const id of running) expect(fleet.run(id)).toMatchObject({ state: 'succeeded', attempt: 1 })
    for (const id of waiting) expect(fleet.run(id)).toMatchObject({ state: 'waiting', attempt: 0, tries: 0 })
    await fleet.start()
    await fleet.quiet(10_000)
    expect(fleet.judged()).toMatchObject({ found: [], verdict: { repeats: 0, acknowledged: 55 } })
  })
})

describe('F7: SIGTERM, and a task is longer than the grace:', () => {
  storm.each([
    ['ours is the only listener, the process exits with 0', false, 0],
    ['the application listens too, the exit is its own', true, 7],
  ])('its signal is aborted, its run given back, no try counted; %s', async (_, listens, code) => {
    await using fleet = new Fleet()
    const instance = await fleet.start({ listens, options: GRACE })
    const run = await instance.ask('start', 'work', { ms: 60_000 })
    await fleet.begun(run)
    const other = await fleet.start()
    const at = monotonic()
    instance.signal('SIGTERM')
    const next = await fleet.begun(run, 2)
    expect(next.pid).toBe(other.pid)
    const ended = await instance.exited
    expect(ended).toMatchObject({ code, signal: null })
    const given = only(fleet.lines(), 'threw').find((line) => line.run === run)!.at
    tell(`F7 ${listens ? 'with a listener' : 'alone'}`, {
      'signal to abort': given - at,
      'abort to begun elsewhere': next.at - given,
      'signal to exit': ended.at - at,
    })
    expect(given - at).toBeGreaterThanOrEqual(900)
    expect(given - at).toBeLessThanOrEqual(1_000 + fleet.bound(250))
    expect(next.at - given).toBeLessThanOrEqual(fleet.bound(1_000))
    expect(fleet.run(run)).toMatchObject({ state: 'running', attempt: 2, tries: 1, crashes: 0 })
  })

  storm('a second SIGTERM ends the process within a second, and its run goes on elsewhere', async () => {
    await using fleet = new Fleet()
    const instance = await fleet.start()
    const run = await instance.ask('start', 'deaf', { ms: 60_000 })
    await fleet.begun(run)
    await fleet.start()
    instance.signal('SIGTERM')
    await sleep(500)
    expect(instance.isOver).toBe(false)
    const at = monotonic()
    instance.signal('SIGTERM')
    const ended = await instance.exited
    const next = await fleet.begun(run, 2)
    tell('F7 second signal', { 'to exit': ended.at - at, 'exit to begun elsewhere': next.at - ended.at })
    expect(ended.at - at).toBeLessThanOrEqual(fleet.bound(1_000))
    expect(next.at - ended.at).toBeLessThanOrEqual(fleet.bound(2_000))
  })

  storm('SIGKILL at the grace is a death like any other', async () => {
    await using fleet = new Fleet()
    const instance = await fleet.start({ options: GRACE })
    const run = await instance.ask('start', 'deaf', { ms: 60_000 })
    await fleet.begun(run)
    await fleet.start()
    instance.signal('SIGTERM')
    await sleep(900)
    const at = await fleet.kill(instance)
    const next = await fleet.begun(run, 2)
    tell('F7 SIGKILL at the grace', { 'to begun elsewhere': next.at - at })
    expect(next.at - at).toBeLessThanOrEqual(fleet.bound(2_000))
    expect(fleet.run(run)).toMatchObject({ attempt: 2, tries: 2, crashes: 1 })
  })
})

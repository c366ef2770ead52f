import { describe, expect, test } from 'vitest'
import { KEPT } from './kept.ts'
import { simulated } from './child.ts'
import { replay, simulate, story } from './simulate.ts'

// SEED=n replays that seed alone and tells its story; SEEDS=n runs that many.
const { SEED, SEEDS = '20000', LINES = '60' } = process.env

if (SEED === undefined) describe('several processes on one store, with everything that can befall them', all)
else
  test(`seed ${SEED}`, { timeout: 60_000 }, async () => {
    const told = await story(Number(SEED), Number(LINES))
    console.log(told)
    expect(told).toContain('every rule holds')
  })

function all(): void {
  test('every rule holds for every seed', { timeout: 600_000 }, async () => {
    const { seeds, happened, ms, broken } = await simulated({ from: 0, to: Number(SEEDS) })
    console.log(`${seeds} seeds, ${happened} events, ${Math.round(ms)} ms`)
    for (const { seed } of broken) expect.fail(await story(seed, Number(LINES)))
    expect(happened / seeds).toBeGreaterThan(150)
  })

  test('the seeds that found something once hold', { timeout: 60_000 }, async () => {
    expect(KEPT.length).toBeGreaterThanOrEqual(100)
    for (const seed of KEPT)
      if ((await simulate(seed)).broken !== undefined) expect.fail(await story(seed, Number(LINES)))
  })

  test('a seed is the same story every time', async () => {
    for (const seed of [0, 7, 256, 4_281]) {
      const [once, again] = [await replay(seed), await replay(seed)]
      expect(again.trace.lines).toEqual(once.trace.lines)
      expect(once.trace.lines.length).toBeGreaterThan(100)
    }
  })

  test('the engine alters nothing that the store gives it or is given', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const { trace } = await replay(seed, { copies: true })
      expect(trace.lines).toEqual((await replay(seed)).trace.lines)
    }
  })

  test('what can befall them does', { timeout: 60_000 }, async () => {
    const { met } = await simulated({ from: 0, to: 1_000 })
    for (const situation of SITUATIONS) expect([situation, (met[situation] ?? 0) >= 2]).toEqual([situation, true])
  })
}

/** A net that never meets one of them proves nothing about it. */
const SITUATIONS = [
  ...['crash', 'pause', 'close', 'jump', 'cut'].map((fault) => `a fault: ${fault}`),
  ...['canceled', 'canceling', 'finished'].map((answer) => `a cancel: ${answer}`),
  ...['created', 'created, born claimed', 'existing'].map((answer) => `a start: ${answer}`),
  ...[
    'succeeded',
    'retry',
    'failed',
    'canceled',
    'released',
    'parked',
    'canceled by force',
    'its deadline passed',
    'its holder died',
    'its holder left',
  ].map((cause) => `an attempt is over: ${cause}`),
  ...['succeeded', 'error', 'canceled', 'crashed', 'poisoned'].map((end) => `a run ended: ${end}`),
  'a living process is held for dead',
  'a claim of an instance held for dead',
  'an attempt began when it was no longer current',
  'a signal: taken',
  'an end was fenced',
  'a step was fenced',
  'a commit for a process that is gone',
]

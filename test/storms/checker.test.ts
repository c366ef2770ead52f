import { describe, expect, test } from 'vitest'
import { check, defects, type History } from './support/checker.ts'
import type { Event, Line } from './support/journal.ts'
import type { StoredRun } from './support/store.ts'

const written = (events: readonly Event[], pid = 1): readonly Line[] =>
  events.map((event, at) => ({ at, pid, ...event }))

const run = (id: string, parts: Partial<StoredRun> = {}): StoredRun => ({
  id,
  token: `t-${id}`,
  task: 'work',
  state: 'succeeded',
  reason: null,
  attempt: 1,
  tries: 1,
  crashes: 0,
  result: `{"attempt":${parts.attempt ?? 1}}`,
  error: null,
  parent: null,
  pid: null,
  ...parts,
})
const started = (id: string): readonly Event[] => [
  { what: 'try', token: `t-${id}` },
  { what: 'ack', token: `t-${id}`, run: id },
]
const begin = (id: string, attempt = 1): Event => ({ what: 'begin', run: id, attempt, task: 'work' })
const end = (id: string, attempt = 1): Event => ({ what: 'end', run: id, attempt, task: 'work' })
const threw = (id: string, attempt = 1): Event => ({ what: 'threw', run: id, attempt, task: 'work' })
const step = (id: string, what: 'step' | 'step done' = 'step'): Event => ({ what, run: id, step: 'one' })
const settled = (id: string, attempt = 1, state = 'succeeded'): Event => ({ what: 'settled', run: id, attempt, state })
const killed = (...held: readonly string[]): Event => ({ what: 'killed', victim: 7, held })
const whole = (id: string): readonly Event[] => [...started(id), begin(id), end(id), settled(id)]

/** One run of each fate that the promise allows. */
const CLEAN: History = {
  lines: written(
    [
      whole('plain'),
      // Its first attempt threw, as its policy has it.
      [...started('again'), begin('again'), threw('again'), begin('again', 2), end('again', 2), settled('again', 2)],
      // Its process died under it; what it was told of its end died with the next one.
      [...started('hit'), begin('hit'), killed('hit', 'unbegun'), begin('hit', 2), end('hit', 2), killed('hit')],
      // It was claimed, and had not begun.
      [...started('unbegun'), begin('unbegun', 2), end('unbegun', 2), settled('unbegun', 2)],
      // Its starter died before the acknowledgement.
      [{ what: 'try', token: 't-recovered' } as const, begin('recovered'), end('recovered'), settled('recovered')],
      // Its starter died before anything was written.
      [{ what: 'try', token: 't-nothing' } as const],
      // Three deaths.
      [...started('poison'), begin('poison'), killed('poison'), begin('poison', 2), killed('poison')],
      [begin('poison', 3), killed('poison')],
      [...started('stopped'), settled('stopped', 0, 'canceled')],
    ].flat(),
  ),
  runs: [
    run('plain'),
    run('again', { attempt: 2, tries: 2 }),
    run('hit', { attempt: 2, tries: 2, crashes: 1 }),
    run('unbegun', { attempt: 2, tries: 2, crashes: 1 }),
    run('recovered'),
    run('poison', { state: 'failed', reason: 'poisoned', attempt: 3, tries: 3, crashes: 3, result: null }),
    run('stopped', { state: 'canceled', reason: 'canceled', attempt: 0, tries: 0, result: null }),
    run('child', { token: undefined, parent: 'plain', state: 'failed', reason: 'error', result: null }),
  ],
}

test('a clean history passes, and everything in it is counted', () => {
  const verdict = check(CLEAN)
  expect(defects(verdict)).toEqual([])
  expect(verdict).toMatchObject({ acknowledged: 6, recovered: 1, repeats: 3, allowed: 6 })
})

const more = (events: readonly Event[], runs: readonly StoredRun[]): History => ({
  lines: [...CLEAN.lines, ...written(events)],
  runs: [...CLEAN.runs, ...runs],
})
const done = [...whole('x')]

describe('a history with one defect is caught:', () => {
  test.each<[string, History, readonly string[]]>([
    ['acknowledged, and not there', more(started('x'), []), ['lost x']],
    ['acknowledged, and still waiting', more(started('x'), [run('x', { state: 'waiting', result: null })]), ['lost x']],
    [
      'acknowledged, and running for ever',
      more([...started('x'), begin('x')], [run('x', { state: 'running', result: null })]),
      ['lost x'],
    ],
    ['there, and nobody asked for it', more([begin('x'), end('x')], [run('x')]), ['unexpected x']],
    ['begun, and not there', more([begin('x')], []), ['unexpected x']],
    [
      'asked for once, and there twice',
      more([...done, begin('y'), end('y')], [run('x'), run('y', { token: 't-x' })]),
      ['unexpected y'],
    ],
    ['its end told twice', more([...done, settled('x')], [run('x')]), ['duplicated x']],
    ['told as succeeded, and as canceled', more([...done, settled('x', 1, 'canceled')], [run('x')]), ['duplicated x']],
    [
      'the result of a stale attempt on record',
      more(
        [...started('x'), begin('x'), killed('x'), begin('x', 2), end('x', 2), end('x'), settled('x', 2)],
        [run('x', { attempt: 2, result: '{"attempt":1}' })],
      ),
      ['stale x'],
    ],
    [
      'the end of a stale attempt told',
      more(
        [...started('x'), begin('x'), killed('x'), begin('x', 2), end('x', 2), settled('x', 1)],
        [run('x', { attempt: 2 })],
      ),
      ['stale x'],
    ],
    [
      'begun again, and nothing had happened to it',
      {
        lines: written([...started('x'), begin('x'), begin('x', 2), end('x', 2), settled('x', 2)]),
        runs: [run('x', { attempt: 2 })],
      },
      ['repeats 1 > 0'],
    ],
    [
      'one attempt begun twice',
      more([...started('x'), begin('x'), killed('x'), begin('x'), end('x')], [run('x')]),
      ['disordered x'],
    ],
    [
      'the number of its attempts went down',
      more([...started('x'), begin('x', 2), killed('x'), begin('x'), end('x')], [run('x')]),
      ['disordered x'],
    ],
    [
      'succeeded, and its code never came to the end',
      more([...started('x'), begin('x'), settled('x')], [run('x')]),
      ['invented x'],
    ],
    [
      'a step on record performed again',
      more(
        [
          [...started('x'), begin('x'), step('x'), step('x', 'step done'), killed('x'), begin('x', 2), step('x')],
          [end('x', 2), settled('x', 2)],
        ].flat(),
        [run('x', { attempt: 2 })],
      ),
      ['redone x'],
    ],
    [
      'ended as the cause of three deaths, and was at two',
      more(
        [...started('x'), begin('x'), killed('x'), begin('x', 2), killed('x'), begin('x', 3), killed('y')],
        [run('x', { state: 'failed', reason: 'poisoned', attempt: 3, result: null })],
      ),
      ['slandered x'],
    ],
  ])('%s', (_, history, found) => {
    expect(defects(check(history))).toEqual(found)
  })
})

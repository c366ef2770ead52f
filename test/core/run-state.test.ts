import { describe, expect, test } from 'vitest'
import { isDone, next, STATES, TABLE, VERBS, type RunVerb, type State } from '../../src/core/run-state.ts'

/** architecture.md §5, as it stands there; an empty cell is refused. */
const WANTED: Readonly<Record<State, Readonly<Partial<Record<RunVerb, State>>>>> = {
  waiting: { claim: 'running', cancel: 'canceled' },
  running: {
    succeed: 'succeeded',
    retry: 'waiting',
    park: 'waiting',
    release: 'waiting',
    rescue: 'waiting',
    fail: 'failed',
    cancel: 'canceled',
  },
  succeeded: {},
  failed: { rerun: 'waiting' },
  canceled: { rerun: 'waiting' },
}
const cells = STATES.flatMap((from) => VERBS.map((verb) => [from, verb, WANTED[from][verb]] as const))

test('there are five states and nine verbs, and the table has no others', () => {
  expect(STATES).toEqual(['waiting', 'running', 'succeeded', 'failed', 'canceled'])
  expect(VERBS).toEqual(['claim', 'succeed', 'retry', 'park', 'release', 'rescue', 'fail', 'cancel', 'rerun'])
  expect(Object.keys(TABLE)).toEqual([...STATES])
  for (const verbs of Object.values(TABLE)) expect(VERBS).toEqual(expect.arrayContaining(Object.keys(verbs)))
})

describe('every cell', () => {
  test.each(cells.filter(([, , to]) => to !== undefined))(
    'a run that is %s and is told to %s is then %s',
    (from, verb, to) => {
      expect(next(from, verb)).toBe(to)
    },
  )

  test.each(cells.filter(([, , to]) => to === undefined))('a run that is %s cannot %s', (from, verb) => {
    expect(() => next(from, verb)).toThrow(
      expect.objectContaining({
        code: 'OFFSTAGE_RUN_FINISHED',
        message: `A run that is ${from} cannot ${verb}.`,
      }) as Error,
    )
  })
})

test.each([
  ['waiting', false],
  ['running', false],
  ['succeeded', true],
  ['failed', true],
  ['canceled', true],
] as const)('a run that is %s is done: %s', (state, done) => {
  expect(isDone(state)).toBe(done)
})

test('from every state that is not done an end can be reached, and from one that is, only an operator leads away', () => {
  const reached = (from: State, seen: readonly State[] = []): boolean =>
    isDone(from) || Object.values(TABLE[from]).some((to) => !seen.includes(to) && reached(to, [...seen, from]))
  for (const state of STATES) expect(reached(state)).toBe(true)
  for (const state of STATES.filter(isDone))
    expect(Object.keys(TABLE[state]).filter((verb) => verb !== 'rerun')).toEqual([])
})

import { describe, expect, test } from 'vitest'
import type { Run } from '../../src/core/run.ts'
import type { Runs } from '../../src/core/runs.ts'
import { Channels, type OffstageEvents } from '../../src/runtime/channels.ts'
import { JoinedRuns } from '../../src/runtime/joined-runs.ts'
import { operate, type OffstageRuns } from '../../src/runtime/operate.ts'
import { aRun } from '../http/fake-runs.ts'
import { FakeClock } from '../setup/fake-clock.ts'
import { failure } from '../setup/stage.ts'

const ID = '01a20591-568e-7910-9286-c16a66a51fae'
const EMPTY = { waiting: 0, running: 0, succeeded: 0, failed: 0, canceled: 0 }

/** A keeper of which only what the test gives may be asked. */
function keeper(answers: Partial<Runs> = {}): Runs {
  const nothing = async (): Promise<undefined> => undefined
  return {
    get: nothing,
    details: nothing,
    cancel: nothing,
    ended: nothing,
    rerun: nothing,
    remove: nothing,
    signal: nothing,
    list: async () => [],
    tally: async () => EMPTY,
    watch: async function* () {},
    ...answers,
  }
}

function operated(...keepers: readonly Runs[]): { runs: OffstageRuns; audits: OffstageEvents['audit'][] } {
  const channels = new Channels(() => expect.unreachable())
  const audits: OffstageEvents['audit'][] = []
  channels.on('audit', (event) => audits.push(event))
  const runs = operate({ runs: new JoinedRuns(async () => keepers), channels, clock: new FakeClock(1_000) })
  return { runs, audits }
}

describe('what is asked of a run goes to the first that knows it,', () => {
  test('and what was changed is told as audit', async () => {
    const asked: unknown[] = []
    const knows = keeper({
      cancel: async (...args) => (asked.push(args), 'canceling'),
      rerun: async (id) => aRun({ id }),
      remove: async () => true,
    })
    const { runs, audits } = operated(keeper(), knows, keeper({ cancel: () => expect.unreachable() }))
    expect(await runs.cancel(ID, 'why')).toBe('canceling')
    expect(await runs.rerun(ID)).toMatchObject({ id: ID })
    expect(await runs.remove(ID)).toBe(true)
    expect(asked).toEqual([[ID, 'why']])
    const at = new Date(1_000)
    expect(audits).toEqual([
      { action: 'cancel', run: ID, at },
      { action: 'rerun', run: ID, at },
      { action: 'remove', run: ID, at },
    ])
  })

  test('and what changed nothing is not: a run that nobody knows, one that had ended, one that is refused', async () => {
    const { runs, audits } = operated(keeper())
    for (const asked of [runs.cancel(ID), runs.rerun(ID)])
      expect(await failure(asked)).toMatchObject({ code: 'OFFSTAGE_RUN_NOT_FOUND' })
    expect([await runs.remove(ID), await runs.get(ID), await runs.details(ID)]).toEqual([false, undefined, undefined])
    for await (const _ of runs.watch(ID)) expect.unreachable()
    const refused = new Error('no')
    const other = operated(
      keeper({
        cancel: async () => 'finished',
        rerun: () => Promise.reject(refused),
        remove: () => Promise.reject(refused),
      }),
    )
    expect(await other.runs.cancel(ID)).toBe('finished')
    expect(await failure(other.runs.rerun(ID))).toBe(refused)
    expect(await failure(other.runs.remove(ID))).toBe(refused)
    expect([...audits, ...other.audits]).toEqual([])
  })
})

describe('list', () => {
  const runsOf = (...ids: readonly string[]): readonly Run[] => ids.map((id) => aRun({ id }))

  test('is one list over all keepers, newest first, of which each is asked for no more than a page and one', async () => {
    const asked: unknown[] = []
    const lists = (...ids: readonly string[]): Runs =>
      keeper({ list: async (what) => (asked.push(what), runsOf(...ids).slice(0, what.limit)) })
    const { runs } = operated(lists('f', 'c', 'a'), lists('e', 'd', 'b'))
    const page = await runs.list({ limit: 3, task: 'report', cursor: 'g' })
    expect([page.runs.map(({ id }) => id), page.nextCursor]).toEqual([['f', 'e', 'd'], 'd'])
    expect(asked).toEqual(Array(2).fill({ filter: { task: 'report' }, before: 'g', limit: 4 }))
    const joined = new JoinedRuns(async () => [lists('c', 'a'), lists('b')])
    expect(await joined.list({ filter: {}, before: null, limit: 2 })).toMatchObject([{ id: 'c' }, { id: 'b' }])
  })

  test('asks for 50 where nothing is said, and for all there are', async () => {
    const asked: unknown[] = []
    const { runs } = operated(keeper({ list: async (what) => (asked.push(what), runsOf('a')) }))
    expect(await runs.list()).toMatchObject({ runs: [{ id: 'a' }], nextCursor: null })
    expect(asked).toEqual([{ filter: {}, before: null, limit: 51 }])
    expect(await operated(keeper()).runs.list({})).toEqual({ runs: [], nextCursor: null })
  })

  test.each([
    [{ limit: 0 }, 'runs.list.limit'],
    [{ limit: 1_001 }, 'runs.list.limit'],
    [{ state: 'done' }, 'runs.list.state'],
    [{ owner: 5 }, 'runs.list.owner'],
    [{ cursor: '' }, 'runs.list.cursor'],
    [{ tags: ['a'] }, 'runs.list.tags'],
    ['failed', 'runs.list'],
  ])('refuses %j', async (options, at) => {
    const { runs } = operated(keeper({ list: () => expect.unreachable() }))
    expect(await failure(runs.list(options as never))).toMatchObject({
      code: 'OFFSTAGE_BAD_OPTION',
      message: expect.stringContaining(`\`${at}\``) as string,
    })
  })
})

test('tally is the sum over all keepers', async () => {
  const asked: unknown[] = []
  const counts = (tally: object): Runs =>
    keeper({ tally: async (filter) => (asked.push(filter), { ...EMPTY, ...tally }) })
  const { runs } = operated(counts({ waiting: 1, failed: 2 }), counts({ failed: 3, canceled: 4 }))
  expect(await runs.tally({ tag: 'eu' })).toEqual({ ...EMPTY, waiting: 1, failed: 5, canceled: 4, total: 10 })
  expect(asked).toEqual([{ tag: 'eu' }, { tag: 'eu' }])
  expect(await failure(runs.tally({ limit: 5 } as never))).toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
})

test.each([
  ['get', (runs: OffstageRuns) => runs.get(5 as never)],
  ['details', (runs: OffstageRuns) => runs.details(undefined as never)],
  ['cancel', (runs: OffstageRuns) => runs.cancel('')],
  ['cancel, its reason,', (runs: OffstageRuns) => runs.cancel(ID, {} as never)],
  ['rerun', (runs: OffstageRuns) => runs.rerun(null as never)],
  ['remove', (runs: OffstageRuns) => runs.remove({} as never)],
])('%s refuses what is no text', async (_, ask) => {
  expect(await failure(ask(operated().runs))).toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
})

test.each([[{ after: -1 }], [{ after: Number.NaN }], [{ signal: {} }], [{ from: 1 }]])(
  'watch refuses %j',
  (options) => {
    expect(() => operated().runs.watch(ID, options as never)).toThrow(
      expect.objectContaining({ code: 'OFFSTAGE_BAD_OPTION' }),
    )
  },
)

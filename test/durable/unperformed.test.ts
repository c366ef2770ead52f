import { describe, expect, test, vi } from 'vitest'
import { memoryStore } from 'offstage/memory'
import { task } from 'offstage'
import { UnknownTasks } from '../../src/durable/unknown-tasks.ts'
import { Channels, type OffstageEvents } from '../../src/runtime/channels.ts'
import type { Unperformed } from '../../src/stores/store.ts'
import { FakeClock } from '../setup/fake-clock.ts'
import { instances } from './instance.ts'

// The whole of Offstage on a clock that stands still until a test moves it.
const world = vi.hoisted(() => ({ clock: undefined as unknown as FakeClock }))
vi.mock(import('../../src/runtime/world.ts'), async (original) => {
  const { FakeClock: Fake } = await import('../setup/fake-clock.ts')
  world.clock = new Fake()
  return { ...(await original()), realClock: world.clock }
})
const { clock } = world
const MINUTE = 60_000

const instance = instances(
  () => {
    const store = memoryStore()
    return () => store
  },
  (promise) => clock.until(promise),
)

const known = task({ name: 'known', durable: true, run: () => 'done' })
const report = task({ name: 'report', durable: true, version: 2, run: () => 'two' })

/** What an instance tells, from its start. */
function alarms(offstage: ReturnType<typeof instance>['offstage']): OffstageEvents['task:unknown'][] {
  const told: OffstageEvents['task:unknown'][] = []
  offstage.on('task:unknown', (event) => told.push(event))
  return told
}

describe('runs of a task that no living instance performs', () => {
  test('wait, are told of once after a minute, and are performed by whoever comes with it', async () => {
    const old = instance([known])
    const told = alarms(old.offstage)
    const starter = instance([report], { place: old.place, worker: false })
    const handle = await clock.until(starter.offstage.start(report))
    const { dueAt } = await clock.until(handle.status())
    await clock.advance(MINUTE)
    expect(told).toEqual([])
    await clock.advance(MINUTE)
    expect(told).toEqual([{ task: 'report', version: 2, since: dueAt }])
    expect(old.lines.map(({ level, fields, message }) => [level, fields, message])).toEqual([
      [
        'warn',
        { task: 'report', version: 2, since: dueAt.toISOString() },
        expect.stringMatching(/"report" at version 2: its runs wait and are kept\. Deploy/),
      ],
    ])
    await clock.advance(30 * MINUTE)
    expect(told).toHaveLength(1)
    expect(await clock.until(handle.status())).toMatchObject({ state: 'waiting', attempt: 0 })
    const fresh = instance([report], { place: old.place })
    expect(await clock.until(fresh.offstage.handle(report, handle.id).result())).toBe('two')
  })

  test('at a version that is none of an instance that performs another; one with `upcast` performs the lower ones', async () => {
    const first = task({ name: 'report', durable: true, run: () => 'one' })
    const old = instance([report, known])
    const told = alarms(old.offstage)
    const starter = instance([first], { place: old.place, worker: false })
    const handle = await clock.until(starter.offstage.start(first))
    await clock.advance(2 * MINUTE)
    expect(told).toMatchObject([{ task: 'report', version: 1 }])
    const upcasts = task({ name: 'report', durable: true, version: 3, upcast: (input) => input, run: () => 'three' })
    const fresh = instance([upcasts], { place: old.place })
    expect(await clock.until(fresh.offstage.handle(upcasts, handle.id).result())).toBe('three')
  })

  test('that are due later are no matter yet', async () => {
    const old = instance([known])
    const told = alarms(old.offstage)
    const starter = instance([report], { place: old.place, worker: false })
    await clock.until(starter.offstage.start(report, undefined, { delay: '10m' }))
    await clock.advance(10 * MINUTE)
    expect(told).toEqual([])
    await clock.advance(2 * MINUTE)
    expect(told).toHaveLength(1)
  })

  test('are told of again where they were performed in between', async () => {
    const time = new FakeClock()
    const channels = new Channels(() => expect.unreachable())
    const told: string[] = []
    channels.on('task:unknown', ({ task: name, version }) => told.push(`${name}@${version}`))
    let found: readonly Unperformed[] = []
    const asked: unknown[] = []
    const read = async (question: unknown): Promise<readonly Unperformed[]> => (asked.push(question), found)
    const role = new UnknownTasks({ store: { read } as never, clock: time, channels })
    const look = async (...now: readonly string[]): Promise<void> => {
      found = now.map((name) => ({ task: name, version: 1, since: 0 }))
      time.skip(30_000)
      await role.tick()
    }
    await role.tick()
    expect(asked).toEqual([])
    await look('a')
    await look('a', 'b')
    await look('b')
    await look('a', 'b')
    await role.tick()
    expect(told).toEqual(['a@1', 'b@1', 'a@1'])
    expect(asked).toEqual(Array(4).fill({ kind: 'unperformed', for: 60_000 }))
  })
})

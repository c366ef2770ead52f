import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Run } from '../../src/core/run.ts'
import type { RunEvent, StoredEvent } from '../../src/core/run-events.ts'
import { follow, type Source, type View } from '../../src/runtime/follow.ts'
import { turns } from '../setup/fake-clock.ts'

type Happening = 'output' | 'progress' | 'attempt' | 'cancel' | 'trim' | 'nothing'

/** A run as whatever keeps it sees it: changed at once, told of and read with any delay. */
class World implements Source {
  number = 1
  trimmed = 0
  events: StoredEvent[] = []
  run = { state: 'waiting', attempt: 0, cancelRequested: false, done: false }
  gone = false
  /** Everything that ever took a number as a row. */
  readonly stored: StoredEvent[] = []
  readonly #waiting = new Set<() => void>()
  readonly #delays: () => number

  constructor(delays: () => number = () => 0) {
    this.#delays = delays
  }

  happen(what: Happening): void {
    if (this.run.done) return
    if (what === 'output') this.#store({ type: 'output', data: this.number })
    else if (what === 'progress') this.#store({ type: 'progress', data: { done: this.number } })
    else if (what === 'attempt') this.#change({ attempt: this.run.attempt + 1, state: 'running' })
    else if (what === 'cancel') this.#change({ cancelRequested: true })
    else if (what === 'trim' && this.events.length > 0) this.trimmed = this.events.shift()!.number
    this.wake()
  }

  end(): void {
    this.#change({ state: 'succeeded', done: true })
    this.wake()
  }

  wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  get waiting(): number {
    return this.#waiting.size
  }

  async read(after: number): Promise<View | undefined> {
    await this.#delay()
    const view = this.#view(after)
    await this.#delay()
    return view
  }

  async change(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.add(resolve)
    const stop = (): void => {
      this.#waiting.delete(resolve)
      resolve()
    }
    signal.addEventListener('abort', stop, { once: true })
    await promise
    await this.#delay()
  }

  #view(after: number): View | undefined {
    if (this.gone) return undefined
    const { number, trimmed, events } = this
    const firstOutput = events.find(({ type }) => type === 'output')?.number ?? null
    return {
      run: { ...this.run } as unknown as Run,
      number,
      trimmed,
      firstOutput,
      events: events.filter((event) => event.number > after),
    }
  }

  #store(event: { type: 'output'; data: number } | { type: 'progress'; data: { done: number } }): void {
    const numbered = { number: ++this.number, ...event } as StoredEvent
    this.events.push(numbered)
    this.stored.push(numbered)
  }

  #change(change: Partial<typeof this.run>): void {
    this.run = { ...this.run, ...change }
    this.number++
  }

  async #delay(): Promise<void> {
    for (let left = this.#delays(); left > 0; left--) await (left > 6 ? turns(1) : null)
  }
}

const isStored = ({ type }: RunEvent): boolean => type === 'output' || type === 'progress'

async function all(events: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const read: RunEvent[] = []
  for await (const event of events) read.push(event)
  return read
}

/** What must hold of everything that one reader was given, from the position it named. */
function check(events: readonly RunEvent[], world: World, after: number): void {
  const numbers = events.map(({ number }) => number)
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  expect(events[0]?.type).toBe('run')
  expect(events.filter(({ type }) => type === 'done')).toHaveLength(1)
  expect(events.at(-1)).toMatchObject({ type: 'done', number: world.number, data: world.run })
  const given = events.filter(isStored)
  // None twice, none altered; and what is missing was said to be missing.
  expect(given).toEqual(world.stored.filter(({ number }) => given.some((one) => one.number === number)))
  const missing = world.stored.filter(({ number }) => number > after && !given.some((one) => one.number === number))
  const resets = events.filter(({ type }) => type === 'reset')
  for (const { number } of missing)
    expect(resets.some(({ data }) => number <= (data as { after: number }).after)).toBe(true)
}

const happenings = fc.array(
  fc.record({
    what: fc.constantFrom<Happening>('output', 'output', 'progress', 'attempt', 'cancel', 'trim', 'nothing'),
    pause: fc.nat(10),
  }),
  { maxLength: 30 },
)
const delays = fc.infiniteStream(fc.nat(10))

describe('whatever the interleaving of changes and reads,', () => {
  test('numbers only rise, no stored event is missing or comes twice, and done comes last', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({ before: happenings, during: happenings, after: fc.nat(12) }),
        delays,
        async ({ before, during, after }, stream) => {
          const world = new World(() => stream.next().value as number)
          for (const { what } of before) world.happen(what)
          const position = Math.min(after, world.number)
          const reading = all(follow(world, { after: position }))
          for (const { what, pause } of during) {
            for (let n = 0; n < pause; n++) await (n > 6 ? turns(1) : null)
            world.happen(what)
          }
          world.end()
          const events = await reading
          check(events, world, position)
          expect(events[0]).toMatchObject({ number: position })
          expect(world.waiting).toBe(0)
        },
      ),
      { numRuns: 150 },
    )
  })

  test('who is cut off and comes back after the last number he has, as often as it happens, misses nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        happenings,
        delays,
        fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 8 }),
        async (steps, stream, cuts) => {
          const world = new World(() => stream.next().value as number)
          const given: RunEvent[] = []
          let position = 0
          let ended = false
          const read = async (most: number): Promise<void> => {
            for await (const event of follow(world, { after: position })) {
              given.push(event)
              position = event.number
              if (event.type === 'done') ended = true
              if (--most === 0) return
            }
          }
          const reading = (async () => {
            for (const most of cuts) if (!ended) await read(most)
            if (!ended) await read(Number.POSITIVE_INFINITY)
          })()
          for (const { what, pause } of steps) {
            for (let n = 0; n < pause; n++) await Promise.resolve()
            if (what !== 'trim') world.happen(what)
          }
          world.end()
          await reading
          expect(given.filter(isStored)).toEqual(world.stored)
          expect(world.waiting).toBe(0)
        },
      ),
      { numRuns: 150 },
    )
  })
})

test('a run that nobody knows has no events; one that is forgotten while it is followed ends', async () => {
  const unknown = new World()
  unknown.gone = true
  expect(await all(follow(unknown, {}))).toEqual([])
  const forgotten = new World()
  const reading = all(follow(forgotten, {}))
  await turns()
  forgotten.gone = true
  forgotten.wake()
  expect((await reading).map(({ type }) => type)).toEqual(['run'])
})

test('a run that has ended is told as it is: the snapshot, what is kept, done', async () => {
  const world = new World()
  for (const what of ['attempt', 'output', 'progress'] as const) world.happen(what)
  world.end()
  expect((await all(follow(world, { after: 0 }))).map(({ number, type }) => [number, type])).toEqual([
    [0, 'run'],
    [3, 'output'],
    [4, 'progress'],
    [5, 'done'],
  ])
  // Without a position: from the first output that is kept.
  expect((await all(follow(world, {}))).map(({ number, type }) => [number, type])).toEqual([
    [2, 'run'],
    [3, 'output'],
    [4, 'progress'],
    [5, 'done'],
  ])
})

test('who missed what is no longer kept is told so before anything else, and gets what there is', async () => {
  const world = new World()
  for (const what of ['output', 'output', 'output', 'trim', 'trim'] as const) world.happen(what)
  world.end()
  const events = await all(follow(world, { after: 1 }))
  expect(events.map(({ number, type }) => [number, type])).toEqual([
    [1, 'run'],
    [3, 'reset'],
    [3, 'run'],
    [4, 'output'],
    [5, 'done'],
  ])
  expect(events[1]?.data).toEqual({ after: 3 })
})

test('a change of state, attempt or a requested cancel is told as a run; a change that shows nothing is not', async () => {
  const world = new World()
  const reading = all(follow(world, {}))
  for (const what of ['attempt', 'nothing', 'cancel', 'nothing'] as const) {
    await turns()
    world.happen(what)
  }
  await turns()
  world.end()
  expect(
    (await reading).map(({ type, data }) => [
      type,
      (data as { attempt: number }).attempt,
      (data as { cancelRequested: boolean }).cancelRequested,
    ]),
  ).toEqual([
    ['run', 0, false],
    ['run', 1, false],
    ['run', 1, true],
    ['done', 1, true],
  ])
})

test('the signal ends it, whatever it waits for, and nothing waits for the run any more', async () => {
  const world = new World()
  const controller = new AbortController()
  const reading = all(follow(world, { signal: controller.signal }))
  await turns()
  expect(world.waiting).toBe(1)
  controller.abort()
  expect((await reading).map(({ type }) => type)).toEqual(['run'])
  expect(world.waiting).toBe(0)
})

test('a reader that leaves in the middle leaves nobody waiting', async () => {
  const world = new World()
  world.happen('output')
  for await (const { type } of follow(world, { after: 0 })) if (type === 'output') break
  expect(world.waiting).toBe(0)
})

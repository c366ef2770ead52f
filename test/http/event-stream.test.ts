import { getEventListeners } from 'node:events'
import { connect, type Socket } from 'node:net'
import * as fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import type { Ask } from '../../src/http/contract.ts'
import { turns } from '../setup/fake-clock.ts'
import { aRun, running, succeeded } from './fake-runs.ts'
import { bodyOf, Frames, getting, ID, parsed, serveStage, stage, type Stage } from './stage.ts'

const open = async ({ http }: Stage, headers: Readonly<Record<string, string>> = {}, path = `/runs/${ID}/events`) => {
  const answer = await http.fetch(getting(path, { headers }))
  return { answer, frames: new Frames(answer) }
}
const following = async (world: Stage, after?: number): Promise<Frames> => {
  const { frames } = await open(world, after === undefined ? {} : { 'last-event-id': String(after) })
  expect(await frames.next()).toBe('retry: 2000')
  return frames
}
/** A stage with the run under way. */
const under = (...args: Parameters<typeof stage>): Stage => {
  const world = stage(...args)
  world.runs.put(aRun({ ...running, owner: 'ada' }), 2)
  return world
}
/** Nothing is left of any stream. */
const expectFree = ({ runs, clock, shutdown }: Stage): void =>
  expect({
    watching: runs.watching,
    timers: clock.armed,
    listeners: getEventListeners(shutdown.signal, 'abort').length,
  }).toEqual({ watching: 0, timers: 0, listeners: 0 })

describe('an event stream', () => {
  test('has the headers of the contract', async () => {
    const { answer, frames } = await open(under())
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
      vary: 'Accept, Authorization, Cookie',
    })
    await frames.tear()
  })

  test('begins with the run as it is, and ends with it', async () => {
    const world = under()
    const frames = await following(world)
    const begin = parsed((await frames.next())!)
    expect(begin).toMatchObject({
      id: 2,
      event: 'run',
      data: { id: ID, state: 'running', links: { self: `/runs/${ID}`, cancel: `/runs/${ID}/cancel` } },
    })
    world.runs.tell(ID, { change: { ...succeeded, result: { rows: 5 } } })
    const [done] = (await frames.rest()).map(parsed)
    expect(done).toMatchObject({
      id: 3,
      event: 'done',
      data: { state: 'succeeded', result: { rows: 5 }, links: { self: `/runs/${ID}` } },
    })
    expectFree(world)
  })

  test('tells outputs whole, whatever they hold, on one line each', async () => {
    const world = under()
    const nasty = [
      'a\r\n\r\nid: 99\nevent: done\ndata: {}\n\n',
      '\u2028\u2029\u0000',
      '\ud800',
      { 'a\nb': ['\r'] },
      '</script>',
      null,
      0,
    ]
    const frames = await following(world, 2)
    await frames.next()
    for (const output of nasty) world.runs.tell(ID, { output })
    const told = (await frames.take(nasty.length)).map(parsed)
    expect(told.map(({ data }) => data)).toEqual(nasty)
    expect(told.map(({ id, event }) => [id, event])).toEqual(nasty.map((_, index) => [3 + index, 'output']))
    await frames.tear()
  })

  test('tells an output that JSON cannot say as null', async () => {
    const world = under()
    const frames = await following(world, 2)
    await frames.next()
    world.runs.tell(ID, { output: 1n as never })
    expect(parsed((await frames.next())!)).toEqual({ id: 3, event: 'output', data: null })
    await frames.tear()
  })

  test('says what is no longer kept', async () => {
    const world = under()
    const frames = await following(world, 2)
    await frames.next()
    world.runs.tell(ID, { reset: 3 })
    expect(parsed((await frames.next())!)).toEqual({ id: 3, event: 'reset', data: { after: 3 } })
    await frames.tear()
  })

  test('keeps outputs from whoever has no payload, and the result too', async () => {
    const world = under({ authorize: () => ['view'] })
    const frames = await following(world, 2)
    world.runs.tell(ID, { output: 'secret' })
    world.runs.tell(ID, { progress: { fraction: 0.5 } })
    world.runs.tell(ID, { change: { ...succeeded, result: 'secret' } })
    const told = await frames.rest()
    expect(told.map((frame) => parsed(frame).event)).toEqual(['run', 'progress', 'done'])
    expect(told.join('')).not.toContain('secret')
  })

  test('ends where the run is gone meanwhile, and where the store fails, which is logged', async () => {
    const world = under()
    vi.spyOn(world.runs, 'watch').mockImplementationOnce(async function* () {})
    expect(await (await following(world)).rest()).toEqual([])
    // oxlint-disable-next-line require-yield -- it fails before
    vi.spyOn(world.runs, 'watch').mockImplementationOnce(async function* () {
      throw new Error('The disk is gone.')
    })
    expect(await (await following(world)).rest()).toEqual([])
    expect(world.log).toEqual([
      { err: new Error('The disk is gone.'), run: ID, message: 'An event stream ended early.' },
    ])
    expectFree(world)
  })
})

describe('a position', () => {
  test.each([
    [{ 'last-event-id': '1' }, '', 1],
    [{}, '?after=1', 1],
    [{ 'last-event-id': '1' }, '?after=2', 1],
    [{}, '', 2],
  ])('%j %s', async (headers, query, id) => {
    const { frames } = await open(under(), headers, `/runs/${ID}/events${query}`)
    expect(parsed((await frames.take(2))[1]!).id).toBe(id)
    await frames.tear()
  })

  test.each(['-1', '1.5', 'abc', '', ' ', '7.0.12', '0x1', '9'.repeat(16), '١'])('%j is none', async (after) => {
    const world = under()
    const answer = await world.http.fetch(getting(`/runs/${ID}/events?after=${encodeURIComponent(after)}`))
    expect([answer.status, (await bodyOf(answer))['type']]).toEqual([400, 'about:blank'])
    expectFree(world)
  })

  test.each([
    [8, 204],
    [9, 204],
    [7, 200],
  ])('%i of a run that ended with its event 8 is %i', async (after, status) => {
    const world = stage()
    world.runs.put(aRun(succeeded), 8)
    for (const { answer, frames } of [
      await open(world, { 'last-event-id': String(after) }),
      await open(world, {}, `/runs/${ID}/events?after=${after}`),
    ]) {
      expect(answer.status).toBe(status)
      if (status === 200) expect((await frames.rest()).at(-1)).toMatch(/^id: 8\nevent: done/)
    }
  })
})

describe('a stream that is cut and resumed', () => {
  const total = 12
  /** Half of the events are there before the first connection, the rest comes while somebody reads. */
  const tellNext = (world: Stage, number: number): void => {
    if (number === total) world.runs.tell(ID, { change: succeeded })
    else if (number % 3 === 0) world.runs.tell(ID, { progress: { fraction: number / total } })
    else world.runs.tell(ID, { output: number })
  }
  /** Connects again and again, each time for so many frames; the events that were seen, without snapshots. */
  const join = async (cuts: readonly number[]): Promise<{ id: number; event: string }[]> => {
    const world = stage()
    world.runs.put(aRun(running), 0)
    let told = 0
    while (told < total / 2) tellNext(world, ++told)
    const seen: { id: number; event: string }[] = []
    let last = 0
    for (let connection = 0; ; connection++) {
      const { answer, frames } = await open(world, { 'last-event-id': String(last) })
      if (answer.status === 204) break
      for (let count = cuts[connection % cuts.length]!; count > 0; count--) {
        if (told < total) tellNext(world, ++told)
        const frame = await frames.next()
        if (frame === undefined) break
        if (!frame.startsWith('id')) continue
        const event = parsed(frame)
        expect(event.id).toBeGreaterThanOrEqual(last)
        last = event.id
        if (event.event !== 'run') seen.push({ id: event.id, event: event.event })
      }
      await frames.tear()
    }
    await turns(2)
    expectFree(world)
    return seen
  }
  const all = Array.from({ length: total }, (_, index) => ({
    id: index + 1,
    event: index + 1 === total ? 'done' : (index + 1) % 3 === 0 ? 'progress' : 'output',
  }))

  test.each(Array.from({ length: total + 2 }, (_, index) => index + 1))(
    'after frame %i: nothing is missed, nothing comes twice',
    async (frames) => {
      expect(await join([frames, 100])).toEqual(all)
    },
  )

  test('after every single event', async () => {
    expect(await join([3])).toEqual(all)
  })

  test('anywhere, any number of times', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 20 }), async (cuts) => {
        expect(await join([...cuts, 3])).toEqual(all)
      }),
      { numRuns: 60 },
    )
  })
})

describe('while nothing happens', () => {
  test('a comment comes every 15 seconds, one at a time', async () => {
    const world = under()
    const frames = await following(world)
    await frames.next()
    await world.clock.advance(14_999)
    world.runs.tell(ID, { progress: { fraction: 0.1 } })
    expect(await frames.next()).toContain('progress')
    await world.clock.advance(1)
    expect(await frames.next()).toBe(': keep-alive')
    await world.clock.advance(50_000)
    world.runs.tell(ID, { progress: { fraction: 0.2 } })
    expect([await frames.next(), await frames.next()]).toEqual([
      ': keep-alive',
      expect.stringContaining('progress') as unknown,
    ])
    await frames.tear()
  })

  test.each([
    [0, 'retry: 1000'],
    [0.5, 'retry: 2000'],
    [0.999_999, 'retry: 3000'],
  ])('it ends after an hour, and the reader comes back at a moment of its own (%d: %s)', async (fraction, last) => {
    const world = under({ public: true }, { random: { fraction: () => fraction } })
    const frames = await following(world)
    const rest = frames.rest()
    await world.clock.advance(3_599_999)
    expect(world.runs.watching).toBe(1)
    await world.clock.advance(1)
    expect((await rest).at(-1)).toBe(last)
    expectFree(world)
  })

  test('it ends at shutdown, and a new one only says when to come back', async () => {
    const world = under()
    const rest = (await following(world)).rest()
    await turns(2)
    world.shutdown.abort()
    expect((await rest).at(-1)).toBe('retry: 2000')
    await turns(2)
    expectFree(world)
    const { answer, frames } = await open(world)
    expect([answer.status, await frames.rest()]).toEqual([200, ['retry: 2000', 'retry: 2000']])
    await turns(2)
    expectFree(world)
    expect((await world.http.fetch(getting(`/runs/${ID}`))).status).toBe(200)
  })

  test('authorize is asked again every minute, for the run as it is then', async () => {
    const asked: Ask[] = []
    const world = under({ authorize: (_, what) => asked.push(what) > 0 })
    const frames = await following(world)
    world.runs.tell(ID, { change: { cancelRequested: true } })
    await world.clock.advance(59_999)
    expect(asked).toHaveLength(1)
    await world.clock.advance(1)
    expect(asked[1]).toMatchObject({ action: 'read', right: 'view', run: { cancelRequested: true } })
    await world.clock.advance(60_000)
    expect(asked).toHaveLength(3)
    await frames.tear()
  })

  test.each<[string, () => unknown]>([
    ['no', () => false],
    ['less', () => ['view']],
    ['a Response', () => new Response(null, { status: 401 })],
    ['an error', () => Promise.reject(new Error('The session store is gone.'))],
  ])('whoever gets %s then is sent away', async (_, verdict) => {
    let first = true
    const world = under({ authorize: () => (first ? !(first = false) : (verdict() as boolean)) })
    const rest = (await following(world)).rest()
    await world.clock.advance(60_000)
    await rest
    await turns(2)
    expectFree(world)
  })
})

describe('as many as may be', () => {
  test('in all', async () => {
    const world = under({ public: true, limits: { streams: 2 } })
    const [first] = [await following(world), await following(world)]
    const { answer } = await open(world)
    expect([answer.status, answer.headers.get('retry-after'), (await bodyOf(answer))['code']]).toEqual([
      503,
      '1',
      'OFFSTAGE_OVERLOADED',
    ])
    await first.tear()
    expect((await open(world)).answer.status).toBe(200)
  })

  test('of one owner', async () => {
    const world = under({
      owner: (request) => request.headers.get('x-user') ?? undefined,
      limits: { streamsPerOwner: 1 },
    })
    const other = ID.replace('7910', '7911')
    world.runs.put(aRun({ ...running, id: other, owner: 'ada' }), 2)
    world.runs.put(aRun({ ...running, id: ID.replace('7910', '7912'), owner: 'bob' }), 2)
    const statusOf = async (id: string, user: string) =>
      (await open(world, { 'x-user': user }, `/runs/${id}/events`)).answer.status
    expect(await statusOf(ID, 'ada')).toBe(200)
    expect(await statusOf(other, 'ada')).toBe(503)
    expect(await statusOf(ID.replace('7910', '7912'), 'bob')).toBe(200)
  })

  test('of one run, where callers are not told apart', async () => {
    const world = under({ public: true, owner: () => 'everybody', limits: { streamsPerOwner: 1 } })
    const other = ID.replace('7910', '7911')
    world.runs.put(aRun({ ...running, id: other }), 2)
    expect((await open(world)).answer.status).toBe(200)
    expect((await open(world)).answer.status).toBe(503)
    expect((await open(world, {}, `/runs/${other}/events`)).answer.status).toBe(200)
  })

  test('HEAD, 204, 400 and 404 take none', async () => {
    const world = under({ public: true, limits: { streams: 1 } })
    const other = ID.replace('7910', '7911')
    world.runs.put(aRun({ ...succeeded, id: other }), 8)
    await world.http.fetch(getting(`/runs/${ID}/events`, { method: 'HEAD' }))
    await open(world, { 'last-event-id': '8' }, `/runs/${other}/events`)
    await open(world, { 'last-event-id': 'x' })
    await open(world, {}, `/runs/${ID.replace('7910', '7913')}/events`)
    expect((await open(world)).answer.status).toBe(200)
  })
})

describe('a reader that does not read', () => {
  const output = 'x'.repeat(10_000)

  test('misses progress, save the latest', async () => {
    const world = under()
    const frames = await following(world)
    await frames.next()
    await turns(2)
    world.runs.tell(ID, { output: 'kept' })
    for (let done = 1; done <= 3_000; done++) world.runs.tell(ID, { progress: { done, total: 3_000 } })
    await turns(2)
    await world.clock.advance(5_000)
    world.runs.tell(ID, { change: succeeded })
    const [kept, ...others] = (await frames.rest()).map(parsed)
    const progress = others.filter(({ event }) => event === 'progress')
    expect([kept!.data, progress.at(-1)!.data, others.at(-1)!.event]).toEqual([
      'kept',
      { done: 3_000, total: 3_000 },
      'done',
    ])
    expect(progress.length).toBeLessThan(1_500)
  })

  test('is cut off once 64 KiB wait, and has lost nothing when it comes back', async () => {
    const world = under()
    const frames = await following(world)
    await frames.next()
    for (let count = 0; count < 20; count++) world.runs.tell(ID, { output })
    await world.clock.advance(999)
    expect(world.runs.watching).toBe(1)
    await world.clock.advance(1)
    await expect(frames.next()).rejects.toMatchObject({ name: 'AbortError' })
    expectFree(world)
    const again = await following(world, 2)
    expect((await again.take(21)).map((frame) => parsed(frame).id)).toEqual([
      2,
      ...Array.from({ length: 20 }, (_, index) => index + 3),
    ])
    await again.tear()
  })

  test('is waited for while it takes something now and then', async () => {
    const world = under()
    const frames = await following(world)
    await frames.next()
    for (let count = 0; count < 40; count++) world.runs.tell(ID, { output })
    for (let seconds = 0; seconds < 6; seconds++) {
      await world.clock.advance(900)
      await frames.read()
    }
    expect((await frames.take(40)).map((frame) => parsed(frame).id)).toEqual(
      Array.from({ length: 40 }, (_, index) => index + 3),
    )
    await frames.tear()
  })

  test('on a socket is cut off too, though its buffers are full', async () => {
    const world = under()
    const { port, server } = await serveStage(world)
    const socket = await stuckReader(port)
    for (let count = 0; count < 400; count++) world.runs.tell(ID, { output: 'x'.repeat(100_000) })
    await turns(50)
    expect(world.runs.watching).toBe(1)
    await vi.waitFor(async () => {
      await world.clock.advance(1_000)
      expectFree(world)
    })
    await expect.poll(() => new Promise((resolve) => server.getConnections((_, count) => resolve(count)))).toBe(0)
    socket.destroy()
  })

  function stuckReader(port: number): Promise<Socket> {
    return new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () =>
        socket.write(`GET /runs/${ID}/events HTTP/1.1\r\nHost: localhost\r\n\r\n`),
      )
      socket.on('error', () => undefined) // it is reset
      socket.once('data', () => resolve(socket.pause()))
    })
  }
})

test('200 streams torn off leave nothing behind', async () => {
  const world = stage()
  const ids = Array.from({ length: 10 }, (_, index) => ID.replace('7910', `791${index}`))
  for (const id of ids) world.runs.put(aRun({ ...running, id }), 2)
  const { url, server } = await serveStage(world)
  for (let round = 0; round < 2; round++) {
    const opened = await Promise.all(
      ids.flatMap((id) =>
        Array.from({ length: 20 }, async () => {
          const abort = new AbortController()
          const frames = new Frames(await fetch(`${url}/runs/${id}/events`, { signal: abort.signal }))
          expect(await frames.next()).toBe('retry: 2000')
          return abort
        }),
      ),
    )
    expect(world.runs.watching).toBe(200)
    for (const abort of opened) abort.abort()
    await vi.waitFor(() => expectFree(world))
  }
  await vi.waitFor(() => expect(server.listenerCount('connection')).toBe(1))
})

import { createOffstage, task, type OffstageError } from 'offstage'
import { toNode } from 'offstage/node'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ask, Frames, parsed, serve } from './stage.ts'

const json = { 'content-type': 'application/json' }

/** The whole of Offstage behind a server, with one task in memory at `/`. */
async function begun(run: (input: unknown, emit: (piece: string) => void, signal: AbortSignal) => unknown) {
  const work = task({ name: 'work', run: (input: unknown, ctx) => run(input, (piece) => ctx.emit(piece), ctx.signal) })
  const offstage = createOffstage({
    http: { public: true },
    memory: { concurrency: 1, capacity: 2 },
    shutdown: { signals: false },
  })
  onTestFinished(async () => void (await offstage.close({ deadline: 100 })))
  const bytes: number[] = []
  let sent = (): number => 0
  const served = await serve((req, res) => {
    const { socket } = res
    toNode((request) =>
      req.method === 'POST' && req.url === '/' ? offstage.accept(request, work) : offstage.fetch(request),
    )(req, res)
    sent = () => bytes.push(socket!.bytesWritten)
  })
  const post = () => ask(served, '/', { method: 'POST', headers: json, body: '{"rows":5}' })
  return { served, post, bytes, sent: () => sent(), offstage }
}

describe('runs in memory, for real', () => {
  test('the answer is on the wire before the first line of the task', async () => {
    const { post, bytes, sent } = await begun(() => sent())
    const { status, headers } = await post()
    expect([status, headers.location]).toEqual([202, expect.stringMatching(/^\/runs\/[0-9a-f-]{36}$/)])
    await expect.poll(() => bytes).toHaveLength(1)
    expect(bytes[0]).toBeGreaterThan(500)
  })

  test('are followed to their end, and told again afterwards', async () => {
    const { post, served } = await begun((input, emit) => {
      emit('a')
      emit('b')
      return input
    })
    const { headers } = await post()
    const frames = (await new Frames(await fetch(`${served.url}${headers.location}/events`)).rest())
      .slice(1)
      .map(parsed)
    expect(frames.filter(({ event }) => event === 'output').map(({ data }) => data)).toEqual(['a', 'b'])
    expect(frames.at(-1)).toMatchObject({ event: 'done', data: { state: 'succeeded', result: { rows: 5 } } })
    const { text, headers: again } = await ask(served, headers.location!)
    expect(JSON.parse(text)).toMatchObject({ done: true, result: { rows: 5 } })
    expect((await ask(served, headers.location!, { headers: { 'if-none-match': again.etag! } })).status).toBe(304)
    expect(
      (await ask(served, `${headers.location}/events`, { headers: { 'last-event-id': again.etag!.slice(1, -1) } }))
        .status,
    ).toBe(204)
  })

  test('are canceled, running and waiting; beyond the capacity they are refused', async () => {
    const { post, served } = await begun(
      (_, __, signal) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as OffstageError)),
        ),
    )
    const first = (await post()).headers.location!
    await expect
      .poll(async () => (JSON.parse((await ask(served, first)).text) as { state: string }).state)
      .toBe('running')
    const [second, third] = [await post(), await post()]
    expect([second.status, third.status]).toEqual([202, 202])
    const refused = await post()
    expect([refused.status, refused.headers['retry-after'], JSON.parse(refused.text)]).toMatchObject([
      503,
      '1',
      { code: 'OFFSTAGE_OVERLOADED' },
    ])
    const cancel = (location: string | undefined) => ask(served, `${location}/cancel`, { method: 'POST' })
    expect((await cancel(second.headers.location)).status).toBe(200)
    expect((await cancel(first)).status).toBe(202)
    await expect
      .poll(async () => (JSON.parse((await ask(served, first)).text) as { state: string }).state)
      .toBe('canceled')
    expect((await cancel(first)).status).toBe(200)
    expect(JSON.parse((await ask(served, first)).text)).not.toHaveProperty('error')
  })
})

test('closed routes are refused where they are mounted', async () => {
  await using offstage = createOffstage({ shutdown: { signals: false } })
  expect(() => toNode(offstage.fetch)).toThrow(expect.objectContaining({ code: 'OFFSTAGE_BAD_OPTION' }))
})

import { EventSource } from 'eventsource'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { task } from '../../src/core/task.ts'
import { aRun, running, succeeded } from './fake-runs.ts'
import { curl, Frames, ID, parsed, serveStage, stage } from './stage.ts'

const report = task({ name: 'report', run: (input: unknown) => input })
const begun = async () => {
  const world = stage()
  world.runs.put(aRun(running), 1)
  return { world, ...(await serveStage(world, { '/reports': report })) }
}

describe('curl', () => {
  test('starts, reads, follows and cancels', async () => {
    const { world, url } = await begun()
    const accepted = await curl(['-i', `${url}/reports`, '-d', '{"rows":50}', '-H', 'content-type: application/json'])
    expect(accepted).toMatch(/^HTTP\/1\.1 202 Accepted\r\n/)
    expect(accepted).toContain(`\r\nlocation: /runs/${ID}\r\n`)
    expect(await curl([`${url}/runs/${ID}`])).toContain('"state":"waiting"')

    const following = curl(['-N', `${url}/runs/${ID}`, '-H', 'accept: text/event-stream'])
    await vi.waitFor(() => expect(world.runs.watching).toBe(1))
    world.runs.tell(ID, { output: 'piece' })
    world.runs.tell(ID, { change: succeeded })
    expect(await following).toMatch(
      /^retry: 2000\n\nid: 1\nevent: run\ndata: \{.*\}\n\nid: 2\nevent: output\ndata: "piece"\n\nid: 3\nevent: done\ndata: \{.*\}\n\n$/,
    )

    expect(await curl(['-o', '/dev/null', '-w', '%{http_code}', '-X', 'POST', `${url}/runs/${ID}/cancel`])).toBe('409')
    expect(await curl(['-I', `${url}/runs/${ID}`])).toMatch(/^HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*etag: "3"\r\n/)
  })

  test('is told what it did wrong', async () => {
    const { url } = await begun()
    expect(await curl([`${url}/reports`, '-d', '{"rows":50}'])).toContain('"title":"Unsupported Media Type"')
    expect(
      await curl(
        [
          '-w',
          '%{http_code}',
          `${url}/reports`,
          '-H',
          'content-type: application/json',
          '-H',
          'expect: 100-continue',
          '--data-binary',
          '@-',
        ],
        JSON.stringify('x'.repeat(400_000)),
      ),
    ).toMatch(/payload-too-large.*413$/)
    expect(await curl(['-w', '%{http_code}', `${url}/runs/x`])).toMatch(/run-not-found.*404$/)
  })
})

describe("the platform's fetch", () => {
  test('starts, reads and follows', async () => {
    const { world, url } = await begun()
    const accepted = await fetch(`${url}/reports`, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json', prefer: 'respond-async' },
    })
    expect([accepted.status, accepted.headers.get('preference-applied')]).toEqual([202, 'respond-async'])
    const location = new URL(accepted.headers.get('location')!, url)
    const { etag } = Object.fromEntries((await fetch(location)).headers)
    expect((await fetch(location, { headers: { 'if-none-match': etag! } })).status).toBe(304)
    const frames = new Frames(await fetch(location, { headers: { accept: 'text/event-stream' } }))
    await frames.take(2)
    world.runs.tell(ID, { change: succeeded })
    expect((await frames.rest()).map((frame) => parsed(frame).event)).toEqual(['done'])
  })

  test('is told 413 while it still sends', async () => {
    const { url } = await begun()
    const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void =>
      controller.enqueue(new Uint8Array(65_536).fill(0x20))
    const answer = await fetch(`${url}/reports`, {
      method: 'POST',
      body: new ReadableStream({ pull }),
      duplex: 'half',
      headers: { 'content-type': 'application/json' },
    })
    expect(answer.status).toBe(413)
  })
})

describe('EventSource', () => {
  test('follows a run over broken connections to its end, and misses nothing', { timeout: 20_000 }, async () => {
    const { world, url, server } = await begun()
    const connections: (string | null)[] = []
    server.on('request', (req: { headers: Record<string, string | undefined> }) =>
      connections.push(req.headers['last-event-id'] ?? null),
    )
    const source = new EventSource(`${url}/runs/${ID}`)
    onTestFinished(() => source.close())
    const seen: [event: string, id: string][] = []
    const reached: Record<string, PromiseWithResolvers<void>> = {}
    const reach = (id: string) => (reached[id] ??= Promise.withResolvers<void>())
    for (const event of ['run', 'output', 'progress', 'done'])
      source.addEventListener(event, ({ lastEventId }) => {
        seen.push([event, lastEventId])
        reach(lastEventId).resolve()
      })

    await reach('1').promise
    world.runs.tell(ID, { output: 'a' })
    world.runs.tell(ID, { progress: { fraction: 0.5 } })
    await reach('3').promise
    server.closeAllConnections()
    world.runs.tell(ID, { output: 'b' })
    await reach('4').promise
    world.runs.tell(ID, { change: succeeded })
    await reach('5').promise
    await new Promise<void>((resolve) =>
      source.addEventListener('error', () => source.readyState === EventSource.CLOSED && resolve()),
    )

    expect(seen).toEqual([
      ['run', '1'],
      ['output', '2'],
      ['progress', '3'],
      ['run', '3'],
      ['output', '4'],
      ['done', '5'],
    ])
    expect(connections).toEqual([null, '3', '5'])
    expect(world.runs.watching).toBe(0)
  })
})

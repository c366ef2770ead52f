import { once } from 'node:events'
import { connect } from 'node:net'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { task } from '../../src/core/task.ts'
import { toNode } from '../../src/http/adapters/node.ts'
import { turns } from '../setup/fake-clock.ts'
import { aRun, running } from './fake-runs.ts'
import { ask, ID, serve, stage, type Served } from './stage.ts'

type Handler = (request: Request) => Response | Promise<Response>

/** Bytes as they are, to the end of the connection. */
async function talk({ port }: Served, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1', () => socket.write(text))
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  await once(socket, 'close')
  return Buffer.concat(chunks).toString('latin1')
}
const raw = (target: string, ...headers: string[]): string =>
  [`${target} HTTP/1.1`, ...headers, 'Connection: close', '', ''].join('\r\n')

const muted = () => {
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  onTestFinished(() => stderr.mockRestore())
  return stderr
}
const streamOf = (
  pull: (controller: ReadableStreamDefaultController<Uint8Array>) => void | Promise<void>,
  cancel?: () => void,
): ReadableStream<Uint8Array> =>
  new ReadableStream<Uint8Array>({ pull, ...(cancel === undefined ? {} : { cancel }) }, { highWaterMark: 0 })

describe('a request', () => {
  const echo: Handler = async (request) =>
    Response.json({
      method: request.method,
      url: request.url,
      headers: Object.fromEntries(request.headers),
      body: request.body === null ? null : await request.text(),
    })
  const told = async (served: Served, ...args: Parameters<typeof ask> extends [Served, ...infer Rest] ? Rest : never) =>
    JSON.parse((await ask(served, ...args)).text) as {
      method: string
      url: string
      headers: Record<string, string>
      body: string | null
    }

  test('keeps its method, path, headers and body', async () => {
    const served = await serve(toNode(echo))
    const { method, url, headers, body } = await told(served, '/a%2fb/%C3%BC?x=1&x=2', {
      method: 'PUT',
      headers: { 'x-a': 'b', host: 'localhost:1' },
      body: 'ä€',
    })
    expect([method, url, headers['x-a'], body]).toEqual(['PUT', 'http://localhost:1/a%2fb/%C3%BC?x=1&x=2', 'b', 'ä€'])
    expect((await told(served, '/', { method: 'POST' })).body).toBeNull()
    expect(
      (await told(served, '/', { method: 'GET', body: 'ignored', headers: { 'content-length': '7' } })).body,
    ).toBeNull()
  })

  test.each([
    ['TRACE', '/x'],
    ['QUERY', '/x'],
    ['PROPFIND', '/x'],
  ])('by %s reaches the handler', async (method, path) => {
    expect((await told(await serve(toNode(echo)), path, { method })).method).toBe(method)
  })

  test.each([
    ['GET /x', 'Host: example.test:8080', 'http://example.test:8080/x'],
    ['GET /x', 'Host: [::1]:80', 'http://[::1]/x'],
    ['GET /x', 'Host: a b', 'http://localhost/x'],
    ['GET /x', 'Host: ', 'http://localhost/x'],
    ['GET /x', 'Host: evil/runs?', 'http://localhost/x'],
    ['GET /x', 'Host: user:password@evil', 'http://localhost/x'],
    ['GET /x', 'Host: evil:99999', 'http://localhost/x'],
    ['GET /x', 'Host: 999.999.999.999', 'http://localhost/x'],
    ['GET /x', 'Host: \u00fc', 'http://localhost/x'],
    ['GET //evil.example/x', 'Host: a', 'http://a//evil.example/x'],
    ['GET /../../x', 'Host: a', 'http://a/x'],
    ['GET http://evil.example/x?y', 'Host: a', 'http://a/x?y'],
    ['OPTIONS *', 'Host: a', 'http://a/'],
  ])('%s with %j has the address %s', async (target, host, url) => {
    const served = await serve(toNode(echo))
    const answer = await talk(served, raw(target, host))
    expect(answer).toContain('200 OK')
    expect(answer).toContain(`"url":"${url}"`)
  })

  test('of HTTP/1.0 needs no Host', async () => {
    expect(await talk(await serve(toNode(echo)), 'GET /x HTTP/1.0\r\n\r\n')).toContain('"url":"http://localhost/x"')
  })

  test('is read as far as its handler reads', async () => {
    const taken: number[] = []
    const served = await serve((req, res) =>
      toNode(async (request) => {
        await request.body!.getReader().read()
        while (taken.length < 3 || taken.at(-1) !== taken.at(-3)) {
          await turns(20)
          taken.push(req.socket.bytesRead)
        }
        return new Response('enough')
      })(req, res),
    )
    const sent = ask(served, '/', { method: 'POST', body: 'x'.repeat(20_000_000) }).catch(() => undefined) // it may be cut off
    await expect.poll(() => taken.length > 2 && taken.at(-1) === taken.at(-3)).toBe(true)
    expect(taken.at(-1)).toBeLessThan(1_000_000)
    await sent
  })

  test('whose client is gone before its body is read rejects in the handler', async () => {
    const failed = Promise.withResolvers<unknown>()
    const served = await serve((req, res) =>
      toNode(async (request) => {
        await once(res, 'close')
        await request.text().catch(failed.resolve)
        return new Response()
      })(req, res),
    )
    const socket = connect(served.port, '127.0.0.1', () =>
      socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123'),
    )
    await once(served.server, 'request')
    socket.destroy()
    expect(await failed.promise).toMatchObject({ name: 'AbortError' })
  })

  test('whose body breaks off rejects in the handler, and nothing is logged', async () => {
    const stderr = muted()
    const failed = Promise.withResolvers<unknown>()
    const served = await serve(
      toNode(async (request) => {
        await request.text().catch((error: unknown) => {
          failed.resolve(error)
          throw error
        })
        return new Response()
      }),
    )
    const socket = connect(served.port, '127.0.0.1', () =>
      socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123'),
    )
    await once(served.server, 'request')
    await turns(5)
    socket.destroy()
    expect(await failed.promise).toMatchObject({ name: 'AbortError' })
    await turns(5)
    expect(stderr).not.toHaveBeenCalled()
  })

  test('has a signal that fires when the client goes away, also after its body was read', async () => {
    const reason = Promise.withResolvers<unknown>()
    const served = await serve(
      toNode(async (request) => {
        await request.text()
        const { signal } = request
        expect(request.signal).toBe(signal)
        reached.resolve()
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        reason.resolve(signal.reason)
        return new Response()
      }),
    )
    const reached = Promise.withResolvers<void>()
    const abort = new AbortController()
    const gone = fetch(served.url, { method: 'POST', body: 'x', signal: abort.signal }).catch(() => undefined)
    await reached.promise
    abort.abort()
    expect(await reason.promise).toMatchObject({ name: 'AbortError' })
    await gone
  })

  test('has a signal that stays quiet when the answer was read', async () => {
    let signal: AbortSignal | undefined
    const served = await serve(
      toNode((request) => {
        signal = request.signal
        return new Response('x')
      }),
    )
    await ask(served, '/', { headers: { connection: 'close' } })
    await turns(5)
    expect(signal?.aborted).toBe(false)
  })

  test('has an aborted signal where the client was gone before', async () => {
    const signal = Promise.withResolvers<AbortSignal>()
    const served = await serve((req: IncomingMessage, res: ServerResponse) => {
      res.once('close', () => toNode((request) => (signal.resolve(request.signal), new Response('x')))(req, res))
    })
    const socket = connect(served.port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'))
    await once(served.server, 'request')
    socket.destroy()
    expect((await signal.promise).aborted).toBe(true)
  })
})

describe('an answer', () => {
  test('keeps its status, headers and every cookie', async () => {
    const served = await serve(
      toNode(() => {
        const headers = new Headers({ 'x-a': 'b' })
        headers.append('set-cookie', 'a=1, b; Path=/')
        headers.append('set-cookie', 'c=2')
        return new Response('body', { status: 418, headers })
      }),
    )
    const { status, headers, text } = await ask(served, '/')
    expect([status, headers['x-a'], headers['set-cookie'], text]).toEqual([418, 'b', ['a=1, b; Path=/', 'c=2'], 'body'])
  })

  test('leaves headers that were set before in place', async () => {
    const served = await serve((req, res) => {
      res.setHeader('x-before', 'kept')
      res.setHeader('x-a', 'replaced')
      toNode(() => new Response('x', { headers: { 'x-a': 'b' } }))(req, res)
    })
    expect((await ask(served, '/')).headers).toMatchObject({ 'x-before': 'kept', 'x-a': 'b' })
  })

  test.each([
    ['text', () => new Response('ä€'), 'ä€'],
    ['bytes', () => new Response(new Uint8Array([65, 66])), 'AB'],
    ['a blob', () => new Response(new Blob(['AB'])), 'AB'],
    ['nothing', () => new Response(null, { status: 204 }), ''],
    ['an empty text', () => new Response(''), ''],
  ])('of %s is written whole', async (_, handler, text) => {
    expect((await ask(await serve(toNode(handler)), '/')).text).toBe(text)
  })

  test('to HEAD has no body, and frees the one it was given', async () => {
    let freed = false
    const served = await serve(
      toNode(
        () =>
          new Response(
            streamOf(
              () => new Promise(() => undefined),
              () => void (freed = true),
            ),
          ),
      ),
    )
    expect((await ask(served, '/', { method: 'HEAD' })).text).toBe('')
    expect(freed).toBe(true)
  })

  test('of ours is one piece with its length', async () => {
    const world = stage()
    world.runs.put(aRun(running), 3)
    const { headers, text } = await ask(await serve(toNode(world.http.fetch)), `/runs/${ID}`)
    expect([headers['content-length'], headers['transfer-encoding']]).toEqual([
      String(Buffer.byteLength(text)),
      undefined,
    ])
  })

  test('that is at hand leaves in one piece', async () => {
    const written: number[] = []
    const served = await serve((req, res) => {
      const { socket } = req
      const pieces = [vi.spyOn(socket, '_write'), vi.spyOn(socket as Required<typeof socket>, '_writev')]
      res.once('finish', () => written.push(...pieces.map((spy) => spy.mock.calls.length)))
      toNode(() => new Response('x'))(req, res)
    })
    await ask(served, '/')
    expect(written).toEqual([0, 1])
  })

  test('has its headers on the way before its stream has anything to say', async () => {
    const served = await serve(toNode(() => new Response(streamOf(() => new Promise(() => undefined)))))
    const abort = new AbortController()
    expect((await fetch(served.url, { signal: abort.signal })).status).toBe(200)
    abort.abort()
  })

  test('is streamed no faster than the client reads', async () => {
    const chunk = new Uint8Array(65_536)
    let pulled = 0
    const freed = Promise.withResolvers<void>()
    const body = (): ReadableStream<Uint8Array> =>
      streamOf((controller) => {
        pulled++
        controller.enqueue(chunk)
      }, freed.resolve)
    const served = await serve(toNode(() => new Response(body())))
    const socket = connect(served.port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'))
    await once(socket, 'data')
    socket.pause()
    await vi.waitFor(async () => {
      const before = pulled
      await turns(50)
      expect(pulled).toBe(before)
    })
    expect(pulled).toBeLessThan(500)
    const before = pulled
    socket.resume()
    await vi.waitFor(() => expect(pulled).toBeGreaterThan(before))
    socket.destroy()
    await freed.promise
  })

  test('whose stream breaks breaks the connection, and is told on stderr', async () => {
    const stderr = muted()
    const served = await serve(
      toNode(() => new Response(streamOf((controller) => controller.error(new Error('secret'))))),
    )
    const answer = await talk(served, raw('GET /', 'Host: a'))
    expect(answer).not.toContain('secret')
    expect(answer).not.toContain('0\r\n\r\n')
    expect(stderr).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('secret'))
  })

  test('may be what comes in, while it comes in', async () => {
    const served = await serve(toNode((request) => new Response(request.body)))
    const size = 3_000_000
    const { text } = await ask(served, '/', { method: 'POST', body: 'x'.repeat(size) })
    expect(text.length).toBe(size)
  })

  test('that came too late harms nobody', async () => {
    const answered = Promise.withResolvers<Response>()
    const freed = Promise.withResolvers<void>()
    const served = await serve(toNode(() => answered.promise))
    const socket = connect(served.port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'))
    const [, res] = (await once(served.server, 'request')) as [IncomingMessage, ServerResponse]
    socket.destroy()
    await once(res, 'close')
    answered.resolve(new Response(streamOf((controller) => controller.enqueue(new Uint8Array(9)), freed.resolve)))
    await freed.promise
  })
})

describe('a handler that fails', () => {
  const broken: [string, Handler][] = [
    [
      'throws',
      () => {
        throw new Error('secret')
      },
    ],
    ['rejects', () => Promise.reject(new Error('secret'))],
    ['rejects with no error', () => Promise.reject('secret')],
    ['answers nothing', (() => undefined) as never],
    [
      'answers what was read before',
      async () => {
        const response = new Response('x')
        await response.text()
        return response
      },
    ],
    [
      'answers what somebody reads',
      () => {
        const response = new Response('x')
        response.body!.getReader()
        return response
      },
    ],
    ['is aborted, though the client waits', () => Promise.reject(new DOMException('secret', 'AbortError'))],
  ]
  test.each(broken)('because it %s is 500 without a word of it, told on stderr', async (_, handler) => {
    const stderr = muted()
    const served = await serve(toNode(handler))
    const { status, headers, text } = await ask(served, '/')
    const [line] = stderr.mock.calls[0] as [string]
    expect([status, headers['content-type'], headers['cache-control']]).toEqual([
      500,
      'application/problem+json',
      'no-store',
    ])
    expect(JSON.parse(text)).toEqual({
      type: 'about:blank',
      title: 'Internal error',
      status: 500,
      detail: expect.stringMatching(/^The log has more under [0-9a-f-]{36}\.$/) as unknown,
    })
    expect(line).toContain((JSON.parse(text) as { detail: string }).detail.slice(-37, -1))
    expect((await ask(served, '/')).status).toBe(500)
  })
})

test('a response that somebody else began is broken off, and nothing else breaks', async () => {
  const stderr = muted()
  const served = await serve((req, res) => {
    res.write('begun')
    toNode(() => new Response('x'))(req, res)
  })
  await expect(ask(served, '/')).rejects.toMatchObject({ code: 'ECONNRESET' })
  expect(stderr).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('Cannot write headers'))
})

describe('the answer leaves before a task begins', () => {
  const report = task({ name: 'report', run: (input: unknown) => input })
  /** What was on the wire when the first turn came that a task could begin in. */
  const sentAt = async (handler: (request: Request, begin: () => void) => Promise<Response>) => {
    const seen: { ended: boolean; bytes: number }[] = []
    const served = await serve((req, res) => {
      const { socket } = res
      toNode((request) =>
        handler(
          request,
          () => void setImmediate(() => seen.push({ ended: res.writableEnded, bytes: socket!.bytesWritten })),
        ),
      )(req, res)
    })
    const { status } = await ask(served, '/', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
    await turns(2)
    return { status, seen }
  }
  const sent = [{ ended: true, bytes: expect.any(Number) as number }]

  test('accept', async () => {
    const world = stage()
    const { status, seen } = await sentAt(async (request, begin) => {
      world.starts.push = (...all) => {
        begin()
        return all.length
      }
      return world.http.accept(request, report)
    })
    expect([status, seen]).toEqual([202, sent])
    expect(seen[0]!.bytes).toBeGreaterThan(500)
  })

  test.each([
    ['text', () => new Response('x')],
    ['bytes', () => new Response(new Uint8Array(9))],
    ['nothing', () => new Response(null, { status: 204 })],
    ['JSON', () => Response.json({})],
  ])('an answer of %s', async (_, make) => {
    const { seen } = await sentAt(async (request, begin) => {
      await request.json()
      begin()
      return make()
    })
    expect(seen).toEqual(sent)
    expect(seen[0]!.bytes).toBeGreaterThan(50)
  })
})

describe('a body that nobody wants', () => {
  const refusing: Handler = () => new Response('no', { status: 413 })

  test('is read away, and the connection goes on', async () => {
    const served = await serve(toNode(refusing))
    const body = 'x'.repeat(500_000)
    const two = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
    expect((await talk(served, two)).match(/413 Payload Too Large/g)).toHaveLength(2)
  })

  test('is not read without end', async () => {
    const served = await serve(toNode(refusing))
    const socket = connect(served.port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
    let sent = 0
    const more = (): void => {
      while (!socket.destroyed && sent++ < 2_000 && socket.write(chunk));
    }
    let answer = ''
    socket.on('drain', more).on('data', (data) => (answer += data.toString()))
    socket.on('error', () => undefined) // it is reset
    more()
    await new Promise((resolve) => socket.once('close', resolve))
    expect(answer).toContain('413')
    expect(sent).toBeLessThan(500)
  })
})

import type { IncomingMessage, ServerResponse } from 'node:http'
import { stderrLogger } from '../runtime/stderr-logger.ts'
import { realRandom } from '../runtime/world.ts'
import type { Handler } from './access.ts'
import { failure, isAbort } from './problem.ts'
import { responseTo, textOf } from './reply.ts'

/** Names and addresses; whatever else a client sends as Host must not get into a URL. */
const HOST = /^(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i
/** `new Request` refuses them; the handler shall refuse them itself. */
const UNSPEAKABLE: readonly string[] = ['TRACE', 'TRACK']
/** Bytes of an unwanted body that are read away, so that the client gets its answer before the connection ends. */
const READ_AWAY = 1_048_576

/** One exchange. Never rejects: what the handler throws is told on stderr, and the client reads 500. */
export async function exchange(handler: Handler, req: IncomingMessage, res: ServerResponse): Promise<void> {
  try {
    send(await handler(requestOf(req, res)), req, res)
  } catch (error) {
    if (res.destroyed && isAbort(error)) return // the client went away, and with it whatever the handler did for it
    const reply = failure(error, report)
    if (res.headersSent) res.destroy()
    else send(responseTo(req.method ?? 'GET', reply), req, res)
  }
}

function requestOf(req: IncomingMessage, res: ServerResponse): Request {
  const method = req.method ?? 'GET'
  const isSpeakable = !UNSPEAKABLE.includes(method)
  const init: RequestInit = { method: isSpeakable ? method : 'POST', headers: req.headers as Record<string, string> } // only set-cookie may be a list, and no request has it
  const request = new Request(urlOf(req), hasBody(req) ? { ...init, body: bodyOf(req), duplex: 'half' } : init)
  if (!isSpeakable) Object.defineProperty(request, 'method', { value: method })
  let signal: AbortSignal | undefined
  // Made when asked for: with each request it would cost as much as the Request. `new Request(request)` does not take it along.
  return Object.defineProperty(request, 'signal', { get: () => (signal ??= signalOf(res)) })
}

/** The path as it came, under whatever host the client names, if it is one. */
function urlOf({ url = '/', headers, socket }: IncomingMessage): string {
  const target = url.startsWith('/') ? url : pathOf(url)
  const scheme = 'encrypted' in socket ? 'https' : 'http'
  const named = headers.host !== undefined && HOST.test(headers.host) ? `${scheme}://${headers.host}${target}` : ''
  return URL.canParse(named) ? named : `${scheme}://localhost${target}`
}

/** `GET http://host/path`, as proxies ask, and `OPTIONS *`. */
function pathOf(target: string): string {
  const url = URL.parse(target)
  return url === null ? '/' : url.pathname + url.search
}

const hasBody = ({ method, headers }: IncomingMessage): boolean =>
  method !== 'GET' &&
  method !== 'HEAD' &&
  (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)

/** Nothing is read before the handler reads, and no more than it reads. */
function bodyOf(req: IncomingMessage): ReadableStream<Uint8Array> {
  let forget = (): void => undefined
  const listen = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    const data = (chunk: Uint8Array): void => {
      controller.enqueue(chunk)
      req.pause()
    }
    const end = (): void => controller.close()
    const close = (): void => controller.error(new DOMException('The client went away.', 'AbortError')) // nothing, where the end was reached
    req.on('data', data).once('end', end).once('close', close).on('error', close)
    if (req.destroyed) close()
    forget = () => void req.off('data', data).off('end', end).off('close', close).pause() // 'error' keeps its listener: without one it would be thrown
  }
  let isRead = false
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    if (!isRead) listen(controller)
    isRead = true
    req.resume()
  }
  return new ReadableStream<Uint8Array>({ pull, cancel: () => forget() }, { highWaterMark: 0 })
}

/** The response's end tells that the client went away; the request's comes as soon as its body was read. */
function signalOf(res: ServerResponse): AbortSignal {
  const gone = new AbortController()
  const close = (): void => {
    if (!res.writableFinished) gone.abort(new DOMException('The client went away.', 'AbortError'))
  }
  if (res.destroyed) close()
  else res.once('close', close)
  return gone.signal
}

/** From the handler's answer to `end` there is no turn of the event loop, where the body is at hand: no task begins before the answer left. */
function send(response: Response, req: IncomingMessage, res: ServerResponse): void {
  if (!req.complete) res.prependOnceListener('finish', () => readAway(req)) // before Node does, which reads away without end
  const headers = [...response.headers].flat()
  const text = textOf(response)
  if (text !== undefined) headers.push('content-length', String(Buffer.byteLength(text)))
  if (text === undefined && response.body !== null && req.method !== 'HEAD') {
    const reader = response.body.getReader()
    res.writeHead(response.status, headers)
    void pour(reader, res) // it ends the response itself, one way or the other
  } else {
    res.writeHead(response.status, headers).end(text)
    if (text === undefined) void response.body?.cancel().catch(() => undefined) // nobody reads it
  }
}

/** As fast as the client takes it. What is there in this turn leaves in one piece. */
async function pour(reader: ReadableStreamDefaultReader<Uint8Array>, res: ServerResponse): Promise<void> {
  const free = (): void => void reader.cancel().catch(() => undefined) // it broke by itself before
  const cut = (): void => {
    res.destroy()
  }
  if (res.destroyed) return free()
  res.once('close', free)
  reader.closed.catch(cut)
  const { socket } = res
  socket?.cork()
  process.nextTick(() => socket?.uncork())
  res.flushHeaders()
  try {
    for (let chunk = await reader.read(); chunk.value !== undefined; chunk = await reader.read())
      if (!res.write(chunk.value) && !res.destroyed) await drained(res)
    res.end()
  } catch (error) {
    cut()
    if (!isAbort(error)) report(error)
  }
}

const drained = (res: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const settle = (): void => {
      res.off('drain', settle).off('close', settle)
      resolve()
    }
    res.on('drain', settle).on('close', settle)
  })

/** Of what is left of a body a little is read away; whoever sends more is cut off. */
function readAway(req: IncomingMessage): void {
  let left = READ_AWAY
  req.removeAllListeners('data').on('data', (chunk: Uint8Array) => {
    left -= chunk.byteLength
    if (left < 0) req.destroy()
  })
  req.resume()
}

/** An adapter is handed no logger: what a handler of the application's own throws must not vanish. */
function report(error: unknown): string {
  const id = realRandom.runId()
  stderrLogger.error({ err: error, id }, 'A request handler failed.')
  return id
}

import { execFile } from 'node:child_process'
import { createServer, request as send, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import type { Logger } from '../../src/core/logger.ts'
import type { Random } from '../../src/core/random.ts'
import type { Run } from '../../src/core/run.ts'
import { validated } from '../../src/core/schema.ts'
import type { StartOptions } from '../../src/core/start.ts'
import { policyOf, type AnyTask } from '../../src/core/task.ts'
import { parseHttp } from '../../src/http/access.ts'
import { toNode } from '../../src/http/adapters/node.ts'
import type { HttpOptions } from '../../src/http/contract.ts'
import { createHttp, type Http } from '../../src/http/handler.ts'
import { FakeClock } from '../setup/fake-clock.ts'
import { aRun, FakeRuns } from './fake-runs.ts'

export const ID = '01a20591-568e-7910-9286-c16a66a51fae'
/** Another id of the same minutes, of which there is no run. */
export const ABSENT = '01a20592-0000-7000-8000-000000000000'
/** The moment of the transcripts: shortly after `createdAt`. */
export const NOW: number = Date.UTC(2026, 10, 22, 23, 22, 24)

export interface Stage {
  readonly http: Http
  readonly runs: FakeRuns
  readonly clock: FakeClock
  readonly shutdown: AbortController
  /** What went to the log, whole. */
  readonly log: object[]
  readonly starts: { readonly task: string; readonly input: unknown; readonly options: StartOptions }[]
  /** What `submit` throws, while it is set. */
  failing: { error?: Error }
  /** The run that the next start makes. */
  next: { run: Run }
}

/** The routes over a fake of Runs, on a clock of the test's. */
export function stage(
  options: HttpOptions | undefined = { public: true },
  more: { clock?: Clock; random?: Partial<Random> } = {},
): Stage {
  const runs = new FakeRuns()
  const clock = new FakeClock(NOW)
  const shutdown = new AbortController()
  const log: object[] = []
  const starts: Stage['starts'] = []
  const failing: Stage['failing'] = {}
  const next = { run: aRun() }
  const line = (fields: object, message?: string): void => void log.push({ ...fields, message })
  const logger: Logger = { debug: line, info: line, warn: line, error: line }
  const http = createHttp({
    settings: parseHttp(options, 'http'),
    limits: { input: 262_144, depth: 64 },
    kept: 86_400_000,
    runs,
    submit: async (task: AnyTask, input: unknown, startOptions: StartOptions) => {
      const schema = policyOf(task)?.input
      const value =
        schema === undefined
          ? input
          : await validated(schema, input, { what: `The input of the task "${task.name}"`, so: 'Nothing was started.' })
      if (failing.error !== undefined) throw failing.error
      starts.push({ task: task.name, input: value, options: startOptions })
      runs.put({ ...next.run, owner: startOptions.owner ?? null }, 1)
      return { id: next.run.id, disposition: 'created' }
    },
    clock: more.clock ?? clock,
    random: { runId: () => 'the-id-of-the-line', instanceId: () => '', fraction: () => 0.5, ...more.random },
    logger,
    shutdown: shutdown.signal,
  })
  return { http, runs, clock, shutdown, log, starts, failing, next }
}

export interface Served {
  readonly server: Server
  readonly url: string
  readonly port: number
}

/** A real server on a free port, closed with the test. */
export async function serve(listener: RequestListener): Promise<Served> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return { server, port, url: `http://127.0.0.1:${port}` }
}

/** The routes behind node:http, and tasks handed in by POST at their paths. */
export const serveStage = ({ http }: Stage, tasks: Readonly<Record<string, AnyTask>> = {}): Promise<Served> =>
  serve(
    toNode((request) => {
      const task = tasks[new URL(request.url).pathname]
      return task === undefined ? http.fetch(request) : http.accept(request, task)
    }),
  )

export interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** One request by node:http, which sends every header as it is told. */
export function ask(
  { port }: Served,
  path: string,
  {
    method = 'GET',
    headers = {},
    body,
  }: { method?: string; headers?: Readonly<Record<string, string>>; body?: string | Uint8Array } = {},
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const outgoing = send({ port, host: '127.0.0.1', path, method, headers }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          text: Buffer.concat(chunks).toString(),
        }),
      )
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** `@-` as its data stands for `stdin`. */
export function curl(args: readonly string[], stdin = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile('curl', ['-sS', '--max-time', '8', ...args], (error, out, err) =>
      error === null ? resolve(out) : reject(new Error(err || error.message)),
    )
    child.stdin?.on('error', () => undefined).end(stdin) // it stops reading when it has its answer
  })
}

/** A POST of JSON to a route of the application's. */
export const posting = (body: unknown, headers: Readonly<Record<string, string>> = {}): Request =>
  new Request('http://localhost/reports', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

export const getting = (path: string, init: RequestInit = {}): Request => new Request(`http://localhost${path}`, init)

export const bodyOf = async (response: Response): Promise<Record<string, unknown>> =>
  (await response.json()) as Record<string, unknown>

/** Reads a stream's frames as they come. */
export class Frames {
  readonly #response: Response
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  readonly #decoder = new TextDecoder()
  #text = ''

  constructor(response: Response) {
    this.#response = response
  }

  /** The next frame, without the empty line after it; undefined: the stream has ended. */
  async next(): Promise<string | undefined> {
    while (!this.#text.includes('\n\n')) {
      if (!(await this.read())) return undefined
    }
    const end = this.#text.indexOf('\n\n')
    const frame = this.#text.slice(0, end)
    this.#text = this.#text.slice(end + 2)
    return frame
  }

  /** Takes what is there, all of it. */
  async read(): Promise<boolean> {
    this.#reader ??= this.#response.body!.getReader()
    const { value } = await this.#reader.read()
    this.#text += this.#decoder.decode(value, { stream: true })
    return value !== undefined
  }

  async take(count: number): Promise<string[]> {
    const frames: string[] = []
    while (frames.length < count) frames.push((await this.next()) ?? '(end)')
    return frames
  }

  async rest(): Promise<string[]> {
    const frames: string[] = []
    for (let frame = await this.next(); frame !== undefined; frame = await this.next()) frames.push(frame)
    return frames
  }

  /** As a client whose connection breaks. */
  async tear(): Promise<void> {
    await (this.#reader?.cancel() ?? this.#response.body?.cancel())
  }
}

export const parsed = (frame: string): { readonly id: number; readonly event: string; readonly data: unknown } => {
  const match = /^id: (\d+)\nevent: (\w+)\ndata: ([^\r\n]*)$/.exec(frame)
  if (match === null) throw new Error(`This is no event: ${frame}`)
  return { id: Number(match[1]), event: match[2]!, data: JSON.parse(match[3]!) as unknown }
}

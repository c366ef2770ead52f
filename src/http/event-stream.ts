import type { Run } from '../core/run.ts'
import type { RunEvent } from '../core/run-events.ts'
import { timeoutIn, within } from '../runtime/timers.ts'
import { callerOf, rightsOf } from './access.ts'
import { Outbox } from './outbox.ts'
import type { Call } from './parts.ts'
import { coded, plain } from './problem.ts'
import type { Reply } from './reply.ts'
import { jsonText, runBody } from './run-body.ts'
import { frame, KEEP_ALIVE, retry } from './sse.ts'

const RETRY = 2_000
const TICK = 15_000
/** In ticks: when `authorize` is asked again, and when the stream ends. */
const [ASK_EVERY, LAST] = [4, 240]
/** How long a reader may take nothing while more waits for him than may wait. */
const PATIENCE = 1_000

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
}

/** The run's events from the position that the reader names: `Last-Event-ID`, else `?after=`. */
export function followRun(call: Call): Reply {
  const { surface, request, found } = call
  const named = request.headers.get('last-event-id') ?? new URL(request.url).searchParams.get('after')
  if (named !== null && !/^\d{1,15}$/.test(named))
    return plain(400, 'Last-Event-ID and `after` are the number of an event.')
  const after = named === null ? undefined : Number(named)
  if (found.run.done && after !== undefined && after >= found.number) return { status: 204 }
  if (request.method === 'HEAD') return { status: 200, headers: HEADERS }
  const place = surface.streams.take(readerOf(call))
  if (place === undefined)
    return coded('OFFSTAGE_OVERLOADED', 'As many event streams are open as may be. Close one, or try again later.')
  return { status: 200, headers: HEADERS, body: new Feed(call, place, after).stream }
}

/** Whose places a stream takes; where callers cannot be told apart, the run's. */
function readerOf({ surface, request, found }: Call): string {
  const owner = surface.settings.public ? undefined : callerOf(surface.settings, request)
  return owner === undefined ? `run ${found.run.id}` : `owner ${owner}`
}

/** One open stream. Whatever ends it frees the watch, the place, the timer and the listener at once. */
class Feed {
  readonly stream: ReadableStream<Uint8Array>
  readonly #call: Call
  readonly #outbox = new Outbox()
  readonly #stop = new AbortController()
  readonly #held = new DisposableStack()
  #run: Run
  #alarm: Disposable | undefined
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #gone = false

  constructor(call: Call, place: Disposable, after: number | undefined) {
    this.#call = call
    this.#run = call.found.run
    this.#held.use(place)
    this.#held.defer(() => this.#alarm?.[Symbol.dispose]())
    this.#held.defer(() => this.#stop.abort())
    const { shutdown } = call.surface
    const leave = (): void => this.#leave()
    shutdown.addEventListener('abort', leave)
    this.#held.defer(() => shutdown.removeEventListener('abort', leave))
    this.stream = this.#open()
    this.#outbox.put(retry(RETRY))
    this.#tick(1)
    void this.#pump(after) // it tells its own failure
    if (shutdown.aborted) leave() // not 503: an EventSource would never come back
  }

  #open(): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder()
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: async (controller) => {
          const text = await this.#outbox.take()
          if (this.#gone) return
          if (text === undefined) controller.close()
          else controller.enqueue(encoder.encode(text))
        },
        cancel: () => {
          this.#gone = true
          this.#end()
        },
      },
      { highWaterMark: 0 },
    )
  }

  /** A reader that is only slow holds up the watch, which keeps its place by numbers; one that takes nothing is let go. */
  async #pump(after: number | undefined): Promise<void> {
    const { surface, found } = this.#call
    const options = { signal: this.#stop.signal, ...(after === undefined ? {} : { after }) }
    try {
      for await (const event of surface.runs.watch(found.run.id, options)) {
        this.#put(event)
        const room = this.#outbox.room()
        if (room !== undefined && (await within(surface.clock, PATIENCE, room)) === undefined) return this.#cut()
      }
    } catch (error) {
      this.#report(error)
    }
    this.#end()
  }

  #put(event: RunEvent): void {
    const { surface, rights } = this.#call
    const payload = rights.has('payload')
    if (event.type === 'output' && !payload) return
    if (event.type !== 'run' && event.type !== 'done')
      return this.#outbox.put(
        frame(event.number, event.type, jsonText(event.data) ?? 'null'),
        event.type === 'progress',
      )
    this.#run = event.data
    const body = runBody(event.data, payload, surface.links(event.data.id, event.data.state))
    this.#outbox.put(frame(event.number, event.type, JSON.stringify(body)))
  }

  /** Not closed but broken: an end behind what he does not read would keep the connection for ever. */
  #cut(): void {
    this.#gone = true
    this.#controller?.error(new DOMException('The reader is too slow.', 'AbortError'))
    this.#end()
  }

  #tick(count: number): void {
    this.#alarm = timeoutIn(this.#call.surface.clock, TICK, () => {
      if (count === LAST) return this.#leave()
      if (count % ASK_EVERY === 0) void this.#askAgain() // it tells its own failure
      if (this.#outbox.isEmpty) this.#outbox.put(KEEP_ALIVE)
      this.#tick(count + 1)
    })
  }

  /** The session may have ended, the run may belong to another: a reader with other rights than before comes back for them. */
  async #askAgain(): Promise<void> {
    const { surface, request, rights: before } = this.#call
    try {
      const rights = await rightsOf(surface.settings, request, { action: 'read', right: 'view', run: this.#run })
      if (!(rights instanceof Response) && rights.has('view') && rights.has('payload') === before.has('payload')) return
    } catch (error) {
      this.#report(error)
    }
    this.#end()
  }

  /** At different times, so that those who were sent away together do not come back together. */
  #leave(): void {
    this.#end(retry(1_000 + Math.floor(this.#call.surface.random.fraction() * 2_001)))
  }

  #end(last?: string): void {
    if (last !== undefined) this.#outbox.put(last)
    this.#outbox.close()
    this.#held.dispose()
  }

  #report(error: unknown): void {
    this.#call.surface.logger.error({ err: error, run: this.#run.id }, 'An event stream ended early.')
  }
}

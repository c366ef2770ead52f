import { setTimeout as sleep } from 'node:timers/promises'

/** One event of a stream: `id` is the position behind it. */
export interface ServerSentEvent {
  readonly id: string
  readonly type: string
  readonly data: unknown
}

interface Options {
  readonly signal: AbortSignal
  /** The connection broke; the reader comes back with this `Last-Event-ID`. */
  readonly lost?: (lastId: string) => void
}

/**
 * A stream's events, one after another, as a browser's EventSource reads them (Node has none): where the connection breaks, it comes back
 * with the id of the last event it has, so that nothing is missed; 204 ends it. Throws where the server refuses.
 */
export async function* eventsOf(url: URL, { signal, lost }: Options): AsyncGenerator<ServerSentEvent, void, undefined> {
  let [id, wait] = ['', 2_000]
  for (;;) {
    const response = await connect(url, id, signal)
    if (response?.status === 204) return
    if (response !== undefined && (!response.ok || response.body === null))
      throw new Error(`${url.pathname} answered ${response.status}.`)
    try {
      for await (const frame of framesOf(response?.body ?? [])) {
        const field = (name: string): string | undefined => new RegExp(`^${name}: ?(.*)$`, 'm').exec(frame)?.[1]
        wait = Number(field('retry') ?? wait)
        id = field('id') ?? id
        const data = field('data')
        if (data !== undefined) yield { id, type: field('event') ?? 'message', data: JSON.parse(data) }
      }
    } catch (error) {
      if (signal.aborted || !isLost(error)) throw error
    }
    lost?.(id)
    await sleep(wait, undefined, { signal })
  }
}

/** undefined: nobody is there at the moment, or he is about to go. */
async function connect(url: URL, lastId: string, signal: AbortSignal): Promise<Response | undefined> {
  const headers = { accept: 'text/event-stream', ...(lastId === '' ? {} : { 'last-event-id': lastId }) }
  try {
    const response = await fetch(url, { signal, headers })
    if (response.status !== 503) return response
    await response.body?.cancel()
    return undefined
  } catch (error) {
    if (signal.aborted || !isLost(error)) throw error
    return undefined
  }
}

/** A frame ends at an empty line. (Offstage's data is one line of JSON, so that a frame has each field once.) */
async function* framesOf(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const frames = (rest + decoder.decode(chunk, { stream: true })).split('\n\n')
    rest = frames.pop() ?? ''
    yield* frames
  }
}

/** What `fetch` throws where the network is the matter. */
const isLost = (error: unknown): boolean => error instanceof TypeError

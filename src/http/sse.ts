import type { RunEvent } from '../core/run-events.ts'

/** How long a client waits before it comes back, in milliseconds. */
export const retry = (ms: number): string => `retry: ${ms}\n\n`

/** A comment: no client sees it, no proxy takes the connection for idle. */
export const KEEP_ALIVE = ': keep-alive\n\n'

/** `json` is one line, as JSON.stringify writes it: nothing in it can end the frame. */
export const frame = (number: number, type: RunEvent['type'], json: string): string =>
  `id: ${number}\nevent: ${type}\ndata: ${json}\n\n`

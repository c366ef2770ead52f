/** An answer before it is a Response: what every answer carries is put on in one place. */
export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | ReadableStream<Uint8Array>
}

const EVERY = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'access-control-expose-headers':
    'Location, Content-Location, Retry-After, ETag, Preference-Applied, Idempotency-Replayed, Link',
}
const READ = { ...EVERY, vary: 'Accept, Authorization, Cookie' }

export const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD'

const TEXT: unique symbol = Symbol('offstage.text')

/**
 * A Response that still has its text: a bridge writes it at once, where the body's stream would cost as much as the whole request. No
 * class of its own: naming `Response` when this module loads would load Node's whole HTTP client with it.
 */
const textResponse = (text: string, init: ResponseInit): Response =>
  Object.defineProperty(new Response(text, init), TEXT, { value: text })

/** The text of a body that nobody has read; undefined: it is a stream. */
export const textOf = (response: Response & { readonly [TEXT]?: string }): string | undefined =>
  response.bodyUsed ? undefined : response[TEXT]

/** HEAD answers as GET, without the body. */
export function responseTo(method: string, { status, headers, body }: Reply): Response {
  const init = { status, headers: { ...(isRead(method) ? READ : EVERY), ...headers } }
  if (body === undefined || method === 'HEAD') return new Response(null, init)
  return typeof body === 'string' ? textResponse(body, init) : new Response(body, init)
}

export const json = (status: number, body: object, headers?: Readonly<Record<string, string>>): Reply => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
})

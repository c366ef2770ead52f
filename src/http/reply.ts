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

/** A Response that still has its text: a bridge writes it at once, where the body's stream would cost as much as the whole request. */
export class TextResponse extends Response {
  readonly content: string
  constructor(content: string, init: ResponseInit) {
    super(content, init)
    this.content = content
  }
}

/** HEAD answers as GET, without the body. */
export function responseTo(method: string, { status, headers, body }: Reply): Response {
  const init = { status, headers: { ...(isRead(method) ? READ : EVERY), ...headers } }
  if (body === undefined || method === 'HEAD') return new Response(null, init)
  return typeof body === 'string' ? new TextResponse(body, init) : new Response(body, init)
}

export const json = (status: number, body: object, headers?: Readonly<Record<string, string>>): Reply => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
})

import type { Clock } from '../core/clock.ts'
import { timeoutIn } from '../runtime/timers.ts'
import { deeperThan, mistakeIn } from './json-text.ts'
import { coded, invalidInput, plain } from './problem.ts'
import type { Reply } from './reply.ts'

export interface BodyLimits {
  readonly bytes: number
  readonly depth: number
}

/** For the whole body, however slowly it trickles. */
const BODY_TIME = 30_000
const JSON_TYPE = /^(?:application\/json|[\w.-]+\/[\w.+-]+\+json)$/i

/** JSON alone is read, which no form of a page can send. Without a type there must be no body. */
export function wrongMedia(request: Request): Reply | undefined {
  const type = request.headers.get('content-type')?.split(';', 1)[0]?.trim()
  if (type === undefined ? request.body === null : JSON_TYPE.test(type)) return undefined
  return plain(415, 'Send the body as JSON, with Content-Type: application/json.')
}

/** Told before a byte is read. */
export function tooLarge(request: Request, bytes: number): Reply | undefined {
  return Number(request.headers.get('content-length') ?? 0) > bytes ? tooLargeFor(bytes) : undefined
}

const tooLargeFor = (bytes: number): Reply =>
  coded(
    'OFFSTAGE_PAYLOAD_TOO_LARGE',
    `The body is larger than the ${bytes} bytes that this route takes. Nothing was done.`,
  )

/** The body's JSON; an empty body is undefined. Or the refusal. */
export async function readJson(
  request: Request,
  limits: BodyLimits,
  clock: Clock,
): Promise<{ readonly value: unknown } | { readonly refusal: Reply }> {
  const bytes =
    request.body === null ? [] : await read(request.body, limits.bytes, clock).catch(() => 'broken' as const)
  if (bytes === 'broken') return { refusal: plain(400, 'The body broke off. Nothing was done.') }
  if (bytes === 'late') return { refusal: plain(408, 'The body did not arrive within 30 seconds. Nothing was done.') }
  if (bytes === 'large') return { refusal: tooLargeFor(limits.bytes) }
  return parse(Buffer.concat(bytes), limits.depth)
}

/** Counted while it comes: no more than the limit is ever held. */
async function read(
  body: ReadableStream<Uint8Array>,
  most: number,
  clock: Clock,
): Promise<readonly Uint8Array[] | 'late' | 'large'> {
  const reader = body.getReader()
  const chunks: Uint8Array[] = []
  let [size, late] = [0, false]
  using _limit = timeoutIn(clock, BODY_TIME, () => {
    late = true
    void reader.cancel().catch(() => undefined) // what is left of the body is not wanted
  })
  for (;;) {
    const { value } = await reader.read()
    if (late) return 'late'
    if (value === undefined) return chunks
    size += value.byteLength
    if (size > most) {
      void reader.cancel().catch(() => undefined) // the same
      return 'large'
    }
    chunks.push(value)
  }
}

function parse(bytes: Buffer, depth: number): { readonly value: unknown } | { readonly refusal: Reply } {
  if (bytes.length === 0) return { value: undefined }
  const text = decode(bytes)
  if (text === undefined) return refused('The body is not UTF-8.')
  const deep = deeperThan(depth, text)
  if (deep !== undefined) return refused(`The body nests more than ${depth} levels at position ${deep}.`)
  try {
    return { value: JSON.parse(text) }
  } catch {
    return refused(`The body is not JSON from position ${mistakeIn(text)} on.`)
  }
}

const refused = (detail: string): { readonly refusal: Reply } => ({
  refusal: invalidInput(`${detail} Nothing was done.`, { status: 400 }),
})

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { task } from '../../src/core/task.ts'
import { mistakeIn } from '../../src/http/json-text.ts'
import { aRun, running } from './fake-runs.ts'
import { bodyOf, ID, stage } from './stage.ts'

const report = task({ name: 'report', run: (input: unknown) => input })
/** Something that must not be found in an answer. */
const MARK = 'QZXJ'
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '..',
    '%00',
    '%2e%2e',
    '<script>',
    '\r\n',
    '%0d%0aset-cookie: a=b',
    "'",
    '"',
    '__proto__',
    'constructor',
    ID,
    'events',
    'cancel',
    'runs',
  ),
)
const marked = text.map((value) => `${value}${MARK}`)
const paths = fc
  .array(fc.oneof(marked, fc.constantFrom('runs', ID, 'events', 'cancel', '')), { maxLength: 5 })
  .map((parts) => `/${parts.map((part) => encodeURI(part.toWellFormed())).join('/')}`)
const queries = fc
  .dictionary(fc.oneof(marked, fc.constant('after')), marked)
  .map((query) => new URLSearchParams(Object.entries(query)).toString())
const NAMES = [
  'accept',
  'authorization',
  'cookie',
  'content-type',
  'content-length',
  'host',
  'idempotency-key',
  'if-none-match',
  'last-event-id',
  'origin',
  'prefer',
  'sec-fetch-site',
  'traceparent',
  'x-forwarded-host',
  'x-http-method-override',
  'x-user',
]
const headers = fc.dictionary(
  fc.constantFrom(...NAMES),
  fc.oneof(
    marked,
    fc.constantFrom(
      'text/event-stream',
      'application/json',
      '*/*;q=',
      'W/"3"',
      '-1',
      '99999999999999999999',
      ',,,',
      'same-origin',
    ),
  ),
  { maxKeys: 6 },
)
const isValue = (value: string): boolean => {
  try {
    return new Headers({ x: value }).has('x')
  } catch {
    return false
  }
}

describe('whatever is asked', () => {
  const world = stage({ owner: (request) => request.headers.get('x-user') ?? undefined })
  world.runs.put(aRun({ ...running, owner: 'ada' }), 3)
  const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

  test('there is never a 5xx, and nothing of it comes back', { timeout: 60_000 }, async () => {
    const requests = fc.record({
      method: fc.constantFrom(...METHODS),
      path: paths,
      query: queries,
      given: headers,
      isMine: fc.boolean(),
      body: marked,
    })
    await fc.assert(
      fc.asyncProperty(requests, async ({ method, path, query, given, isMine, body }) => {
        const sent = Object.fromEntries(
          Object.entries({ ...given, ...(isMine ? { 'x-user': 'ada' } : {}) }).filter(([, value]) => isValue(value)),
        )
        const hasBody = method !== 'GET' && method !== 'HEAD'
        const request = () =>
          new Request(`http://localhost${path}?${query}`, { method, headers: sent, ...(hasBody ? { body } : {}) })
        for (const answer of [await world.http.fetch(request()), await world.http.accept(request(), report)]) {
          const whole =
            JSON.stringify([...answer.headers]) +
            (answer.headers.get('content-type')?.startsWith('text/event')
              ? (await answer.body?.cancel(), '')
              : await answer.text())
          expect({ status: answer.status < 500 || whole, isReflected: whole.includes(MARK) }).toEqual({
            status: true,
            isReflected: false,
          })
        }
      }),
      { numRuns: 300 },
    )
    expect(world.log).toEqual([])
  })

  test('a body is JSON or refused: as the platform says', async () => {
    const almost = fc
      .tuple(fc.json(), fc.nat(), text)
      .map(([json, at, more]) => json.slice(0, at % (json.length + 1)) + more)
    await fc.assert(
      fc.asyncProperty(fc.oneof(almost, fc.json(), text), async (body) => {
        const { http, starts } = stage()
        const sent = body.toWellFormed().replace(/^\ufeff/, '')
        const answer = await http.accept(
          new Request('http://localhost/', {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: sent,
          }),
          report,
        )
        const value = parse(sent)
        if (value !== undefined) {
          expect([answer.status, starts[0]?.input]).toEqual([202, value.json])
          return
        }
        expect(answer.status).toBe(400)
        const { detail } = (await bodyOf(answer)) as { detail: string }
        const at = Number(/position (\d+)/.exec(detail)![1])
        expect(at).toBe(mistakeIn(sent))
        // What stands before it may still become JSON: no shorter piece holds the mistake.
        expect(parse(`${sent.slice(0, at)}`) !== undefined || isBeginning(sent.slice(0, at))).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

function parse(json: string): { readonly json: unknown } | undefined {
  if (json === '') return { json: undefined }
  try {
    return { json: JSON.parse(json) as unknown }
  } catch {
    return undefined
  }
}

/** Whether the engine only misses what comes after. */
function isBeginning(json: string): boolean {
  try {
    JSON.parse(json)
    return true
  } catch (error) {
    const { message } = error as Error
    return (
      message.includes('Unexpected end') ||
      message.includes('Unterminated') ||
      message.includes(`at position ${json.length}`)
    )
  }
}

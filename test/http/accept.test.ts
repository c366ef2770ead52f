import { describe, expect, test } from 'vitest'
import { InvalidInputError, NotSerializableError, OffstageError, ShutdownError } from '../../src/core/errors.ts'
import { task } from '../../src/core/task.ts'
import type { AcceptOptions } from '../../src/http/contract.ts'
import { aRun } from './fake-runs.ts'
import { ask, bodyOf, getting, ID, posting, serveStage, stage } from './stage.ts'

const refusal = { what: 'The input of the task "report"', so: 'Nothing was started.' }

const report = task({ name: 'report', run: (input: unknown) => input })
const raw = (
  body: NonNullable<RequestInit['body']> | null,
  headers: Readonly<Record<string, string>> = { 'content-type': 'application/json' },
): Request => new Request('http://localhost/reports', { method: 'POST', headers, body, duplex: 'half' })

const streamOf = (...chunks: string[]): ReadableStream<Uint8Array> & { asked: number } => {
  const left = chunks.map((chunk) => new TextEncoder().encode(chunk))
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    stream.asked++
    const chunk = left.shift()
    if (chunk === undefined) controller.close()
    else controller.enqueue(chunk)
  }
  const stream = Object.assign(new ReadableStream<Uint8Array>({ pull }, { highWaterMark: 0 }), { asked: 0 })
  return stream
}

describe('accept', () => {
  test('answers 202 with the run, its address and when to look again', async () => {
    const { http, starts } = stage({ owner: () => 'ada' })
    const answer = await http.accept(posting({ rows: 5 }), report)
    expect(answer.status).toBe(202)
    expect(Object.fromEntries(answer.headers)).toEqual({
      'access-control-expose-headers':
        'Location, Content-Location, Retry-After, ETag, Preference-Applied, Idempotency-Replayed, Link',
      'cache-control': 'no-store',
      'content-type': 'application/json',
      location: `/runs/${ID}`,
      'referrer-policy': 'no-referrer',
      'retry-after': '1',
      'x-content-type-options': 'nosniff',
    })
    expect(await bodyOf(answer)).toMatchObject({
      id: ID,
      state: 'waiting',
      owner: 'ada',
      links: { self: `/runs/${ID}`, events: `/runs/${ID}/events`, cancel: `/runs/${ID}/cancel` },
    })
    expect(starts).toEqual([{ task: 'report', input: { rows: 5 }, options: { owner: 'ada' } }])
  })

  test('builds addresses from basePath, never from Host', async () => {
    const { http } = stage({ public: true, basePath: '/api/v1/work' })
    const answer = await http.accept(
      posting({}, { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-prefix': '/evil' }),
      report,
    )
    expect(answer.headers.get('location')).toBe(`/api/v1/work/${ID}`)
    expect(await answer.text()).not.toContain('evil')
  })

  test('passes on what start takes, and prefers the owner that the route names', async () => {
    const { http, starts } = stage({ owner: () => 'ada' })
    const at = new Date(0)
    await http.accept(posting(1), report, { owner: 'grace', delay: '5s', at, priority: 3, queue: 'slow', tags: ['a'] })
    expect(starts[0]?.options).toEqual({ owner: 'grace', delay: '5s', at, priority: 3, queue: 'slow', tags: ['a'] })
  })

  test('tells when a delayed run is due, up to five minutes', async () => {
    const world = stage()
    for (const [delay, seconds] of [
      [59_000, '59'],
      [58_001, '59'],
      [10_000_000, '300'],
    ] as const) {
      world.next.run = aRun({ dueAt: new Date(world.clock.now() + delay) })
      expect((await world.http.accept(posting(1), report)).headers.get('retry-after')).toBe(seconds)
    }
  })

  test('says 202 also where the run cannot be read: it was acknowledged', async () => {
    const { http, runs, starts, log } = stage()
    runs.broken = new OffstageError('OFFSTAGE_STORE_UNAVAILABLE', '/secret/path')
    const answer = await http.accept(posting(1), report)
    expect([answer.status, answer.headers.get('location'), answer.headers.get('retry-after')]).toEqual([
      202,
      `/runs/${ID}`,
      '1',
    ])
    expect(await bodyOf(answer)).toEqual({ id: ID, links: { self: `/runs/${ID}`, events: `/runs/${ID}/events` } })
    expect([starts.length, log.length]).toEqual([1, 1])
  })

  test('leaves the result to whoever may read it', async () => {
    const world = stage()
    world.next.run = aRun({ state: 'succeeded', done: true, result: 'secret' })
    expect(await (await world.http.accept(posting(1), report)).text()).not.toContain('secret')
  })

  test.each([
    ['respond-async', 'respond-async'],
    ['wait=5', null],
    ['handling=lenient, Respond-Async; x=1, wait=10', 'respond-async'],
    ['respond-asynchronously', null],
  ])('Prefer: %s is confirmed as %s', async (prefer, applied) => {
    const { http } = stage()
    const answer = await http.accept(posting(1, { prefer }), report)
    expect([answer.status, answer.headers.get('preference-applied')]).toEqual([202, applied])
  })
})

describe('the checks of accept', () => {
  const cross = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
  const long = JSON.stringify('x'.repeat(100))
  const key = { 'idempotency-key': '"a"' }
  const type = { 'content-type': 'text/plain' }
  const chain: readonly [
    status: number,
    wrong: { method?: string; headers?: Record<string, string>; body?: string },
  ][] = [
    [405, { method: 'PUT' }],
    [415, { headers: type }],
    [403, { headers: cross }],
    [413, { body: long, headers: { 'content-length': '102' } }],
    [400, { headers: key }],
    [400, { body: '{' }],
    [422, {}],
    [503, {}],
  ]

  test('stand in the order of the contract', async () => {
    for (let from = 0; from < chain.length; from++) {
      const { http, failing, starts } = stage({ public: true, limits: { body: 50 } })
      failing.error =
        from < 7
          ? new InvalidInputError(refusal, [{ message: 'no', path: [] }])
          : new OffstageError('OFFSTAGE_OVERLOADED', 'full')
      const wrong = chain
        .slice(from)
        .reduceRight(
          (all, [, one]) => ({ ...all, ...one, headers: { ...all.headers, ...one.headers } }),
          {} as (typeof chain)[number][1],
        )
      const { method = 'POST', headers, body = '1' } = wrong
      const answer = await http.accept(
        new Request('http://localhost/', { method, headers: { 'content-type': 'application/json', ...headers }, body }),
        report,
      )
      expect([from, answer.status]).toEqual([from, chain[from]![0]])
      expect(starts).toEqual([])
    }
  })

  test.each([
    ['application/json', 202],
    ['application/JSON; charset=utf-8', 202],
    ['application/merge-patch+json', 202],
    ['application/jsonp', 415],
    ['text/json', 415],
    ['text/plain', 415],
    ['application/x-www-form-urlencoded', 415],
    ['multipart/form-data; boundary=x', 415],
    ['application/json, text/plain', 415],
  ])('%s is %i', async (type, status) => {
    const { http } = stage()
    const answer = await http.accept(raw('1', { 'content-type': type }), report)
    expect(answer.status).toBe(status)
  })

  test('no body and no type is no input; an empty body of JSON neither; a body without a type is refused', async () => {
    const { http, starts } = stage()
    expect((await http.accept(raw(null, {}), report)).status).toBe(202)
    expect((await http.accept(raw(''), report)).status).toBe(202)
    expect(starts.map(({ input }) => input)).toEqual([undefined, undefined])
    expect((await http.accept(raw(streamOf('1'), {}), report)).status).toBe(415)
  })

  test('a length above the limit is refused before a byte is read', async () => {
    const { http } = stage()
    const body = streamOf('1')
    const answer = await http.accept(
      raw(body, { 'content-type': 'application/json', 'content-length': '262145' }),
      report,
    )
    expect([answer.status, body.asked]).toEqual([413, 0])
    expect(await bodyOf(answer)).toMatchObject({
      code: 'OFFSTAGE_PAYLOAD_TOO_LARGE',
      detail: expect.stringContaining('262144') as unknown,
    })
  })

  test('a body of unknown length is cut off at the limit', async () => {
    const { http } = stage({ public: true, limits: { body: 10 } })
    const body = streamOf('"234', '6789', '123', '"', '"')
    expect((await http.accept(raw(body), report)).status).toBe(413)
    expect(body.asked).toBe(3)
    expect((await http.accept(raw(streamOf('"234', '67890')), report, { maxBody: 8 })).status).toBe(413)
    expect((await http.accept(raw(streamOf('"234', '678"')), report, { maxBody: 8 })).status).toBe(202)
  })

  test('a body that takes longer than 30 seconds is refused, however it trickles', async () => {
    const { http, clock } = stage()
    let left = false
    const body = new ReadableStream<Uint8Array>({ cancel: () => void (left = true) })
    const answer = http.accept(raw(body), report)
    await clock.advance(29_999)
    expect(left).toBe(false)
    await clock.advance(1)
    expect([(await answer).status, left, clock.armed]).toEqual([408, true, 0])
  })

  test('a body that breaks off is refused, and none of it is logged', async () => {
    const { http, log, clock } = stage()
    const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error('reset')) })
    expect((await http.accept(raw(body), report)).status).toBe(400)
    expect([log, clock.armed]).toEqual([[], 0])
  })

  test.each([
    ['{"a":1', 'position 6'],
    ['[1,,2]', 'position 3'],
    ['{"a":}', 'position 5'],
    ['{"a" 1}', 'position 5'],
    ['{a:1}', 'position 1'],
    ['[01]', 'position 2'],
    ['"a\nb"', 'position 0'],
    ['["ok", "\\x"]', 'position 7'],
    ['{"a":[{"b":tru}]}', 'position 11'],
    ['{} {}', 'position 3'],
    ['[1 2]', 'position 3'],
    [' nul', 'position 1'],
    ['{"a":1,}', 'position 7'],
    ['<script>', 'position 0'],
  ])('what is no JSON is told by its position, not by its words: %s', async (text, position) => {
    const { http, starts } = stage()
    const answer = await http.accept(raw(text), report)
    expect(answer.status).toBe(400)
    const { code, detail } = await bodyOf(answer)
    expect(code).toBe('OFFSTAGE_INVALID_INPUT')
    expect(detail).toBe(`The body is not JSON from ${position} on. Nothing was done.`)
    expect(starts).toEqual([])
  })

  test('64 levels pass, brackets in texts do not count, the 65th is told by its position', async () => {
    const { http, starts } = stage()
    const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)
    expect((await http.accept(raw(nested(64)), report)).status).toBe(202)
    expect((await http.accept(raw(JSON.stringify([`\\"${'['.repeat(99)}`, {}])), report)).status).toBe(202)
    const deep = await http.accept(raw(nested(100_000)), report)
    expect([deep.status, (await bodyOf(deep))['detail']]).toEqual([
      400,
      'The body nests more than 64 levels at position 64. Nothing was done.',
    ])
    expect((await http.accept(raw(`[${'[],{},'.repeat(50)}${nested(63)}]`), report)).status).toBe(202)
    expect((await http.accept(raw(`[${'[],{},'.repeat(50)}${nested(64)}]`), report)).status).toBe(400)
    expect(starts).toHaveLength(3)
  })

  test('what is no UTF-8 is refused; a byte order mark is none of the input', async () => {
    const { http, starts } = stage()
    expect((await http.accept(raw(new Uint8Array([0x22, 0xff, 0x22])), report)).status).toBe(400)
    expect((await http.accept(raw(new Uint8Array([0xef, 0xbb, 0xbf, 0x31])), report)).status).toBe(202)
    expect(starts.map(({ input }) => input)).toEqual([1])
  })

  test('an own key __proto__ stays plain data', async () => {
    const { http, starts } = stage()
    await http.accept(raw('{"__proto__":{"isAdmin":true}}'), report)
    const input = starts[0]!.input as { isAdmin?: boolean }
    expect([Object.keys(input), input.isAdmin]).toEqual([['__proto__'], undefined])
  })

  test('a key is refused in so many words, since to ignore it would do the work twice', async () => {
    const { http, starts } = stage()
    const answer = await http.accept(posting(1, { 'idempotency-key': '"order-42"' }), report)
    expect([answer.status, await bodyOf(answer)]).toEqual([
      400,
      {
        type: 'about:blank',
        title: 'Bad Request',
        status: 400,
        detail: 'Idempotency-Key is not available in this version. Send the request without it.',
      },
    ])
    expect(starts).toEqual([])
  })

  test.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'])('%s is 405 with Allow', async (method) => {
    const { http } = stage()
    const answer = await http.accept(getting('/reports', { method }), report)
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST, OPTIONS'])
  })

  test('OPTIONS is answered by what is allowed', async () => {
    const { http } = stage()
    const answer = await http.accept(getting('/reports', { method: 'OPTIONS' }), report)
    expect([answer.status, answer.headers.get('allow'), await answer.text()]).toEqual([204, 'POST, OPTIONS', ''])
  })
})

describe('input given by the route', () => {
  test('is taken as it is, and the body is left alone', async () => {
    const { http, starts } = stage({ public: true, limits: { body: 1 } })
    const request = raw('a text of the route', { 'content-type': 'text/plain', 'content-length': '19' })
    expect((await http.accept(request, report, { input: { path: '/tmp/x' } })).status).toBe(202)
    expect([request.bodyUsed, starts[0]?.input]).toEqual([false, { path: '/tmp/x' }])
  })

  test('may be made from the request', async () => {
    const { http, starts } = stage()
    await http.accept(raw('abc', { 'content-type': 'text/plain' }), report, {
      input: async (request: Request) => (await request.text()).length,
    })
    await http.accept(raw(null, {}), report, { input: null })
    expect(starts.map(({ input }) => input)).toEqual([3, null])
  })

  test('leaves method, cross-site and key to be looked at', async () => {
    const { http, starts } = stage()
    const statuses = [
      await http.accept(getting('/reports'), report, { input: 1 }),
      await http.accept(raw(null, { cookie: 'sid=1' }), report, { input: 1 }),
      await http.accept(raw(null, { 'idempotency-key': 'a' }), report, { input: 1 }),
    ].map(({ status }) => status)
    expect([statuses, starts]).toEqual([[405, 403, 400], []])
  })

  test('whose making fails is 500, told to the log alone', async () => {
    const { http, log } = stage()
    const answer = await http.accept(raw(null, {}), report, {
      input: () => Promise.reject(new Error('secret of the disk')),
    })
    expect([answer.status, await answer.text()]).toEqual([500, expect.not.stringContaining('secret') as unknown])
    expect(log).toEqual([expect.objectContaining({ err: new Error('secret of the disk'), id: 'the-id-of-the-line' })])
  })

  test('is what a route that read the body itself must give', async () => {
    const { http, starts, log } = stage()
    const request = posting({ rows: 1 })
    await request.json()
    expect((await http.accept(request, report)).status).toBe(500)
    expect(starts).toEqual([])
    expect(log).toEqual([
      expect.objectContaining({
        err: expect.objectContaining({
          message: expect.stringContaining('accept.options.input') as unknown,
        }) as unknown,
      }),
    ])
  })
})

describe('what start throws', () => {
  test.each<[Error, number, [code: string | undefined, wait: string | null]]>([
    [new OffstageError('OFFSTAGE_OVERLOADED', 'told'), 503, ['OFFSTAGE_OVERLOADED', '1']],
    [new ShutdownError('told'), 503, ['OFFSTAGE_SHUTDOWN', '1']],
    [new OffstageError('OFFSTAGE_STORE_BUSY', 'secret'), 503, ['OFFSTAGE_STORE_BUSY', '1']],
    [new OffstageError('OFFSTAGE_STORE_UNAVAILABLE', 'secret'), 503, ['OFFSTAGE_STORE_UNAVAILABLE', '5']],
    [new OffstageError('OFFSTAGE_STORE_FULL', 'secret'), 507, ['OFFSTAGE_STORE_FULL', '60']],
    [new OffstageError('OFFSTAGE_PAYLOAD_TOO_LARGE', 'told'), 413, ['OFFSTAGE_PAYLOAD_TOO_LARGE', null]],
    [new InvalidInputError({ what: 'told', so: 'told' }, []), 422, ['OFFSTAGE_INVALID_INPUT', null]],
    [new OffstageError('OFFSTAGE_STORE_CORRUPT', 'secret'), 500, [undefined, null]],
    [new OffstageError('OFFSTAGE_STORE_VERSION', 'secret'), 500, [undefined, null]],
    [new OffstageError('OFFSTAGE_STORE_UNSAFE', 'secret'), 500, [undefined, null]],
    [new OffstageError('OFFSTAGE_BAD_OPTION', 'secret'), 500, [undefined, null]],
    [new OffstageError('OFFSTAGE_UNKNOWN_TASK', 'secret'), 500, [undefined, null]],
    [new OffstageError('OFFSTAGE_RUN_FAILED', 'secret'), 500, [undefined, null]],
    [new NotSerializableError('secret', []), 500, [undefined, null]],
    [new TypeError('secret'), 500, [undefined, null]],
  ])('%s: %i %j', async (error, status, [code, wait]) => {
    const { http, failing, log } = stage()
    failing.error = error
    const answer = await http.accept(posting(1), report)
    const body = await bodyOf(answer)
    expect([answer.status, body['status'], body['code'], answer.headers.get('retry-after')]).toEqual([
      status,
      status,
      code,
      wait,
    ])
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    const isTold = JSON.stringify(body).includes('told')
    expect(JSON.stringify(body)).not.toContain('secret')
    expect(log).toEqual(isTold ? [] : [expect.objectContaining({ err: error, id: 'the-id-of-the-line' })])
    if (code === undefined)
      expect(body).toEqual({
        type: 'about:blank',
        title: 'Internal error',
        status: 500,
        detail: 'The log has more under the-id-of-the-line.',
      })
  })

  test('places are told as JSON Pointers, a hundred at most', async () => {
    const { http, failing } = stage()
    const paths = [[], ['a/b', 'c~d', 0], ['ü %"<'], ['\ud800'], [''], ...Array<string[]>(200).fill(['x'])]
    failing.error = new InvalidInputError(
      refusal,
      paths.map((path) => ({ message: 'no', path })),
    )
    const { errors, detail } = (await bodyOf(await http.accept(posting(1), report))) as {
      errors: { pointer: string }[]
      detail: string
    }
    expect(errors.slice(0, 5).map(({ pointer }) => pointer)).toEqual([
      '#',
      '#/a~1b/c~0d/0',
      '#/%C3%BC%20%25%22%3C',
      '#/%EF%BF%BD',
      '#/',
    ])
    expect([errors.length, detail]).toEqual([
      100,
      'The input of the task "report" was refused in 205 places. Nothing was started.',
    ])
  })
})

describe('the options of accept', () => {
  test.each([
    [{ idempotencyKey: 'required' }, /accept\.options\.idempotencyKey.*not available/],
    [{ wait: '5s' }, /accept\.options\.wait.*not available/],
    [{ tx: {} }, /accept\.options\.tx.*not available/],
    [{ webhook: {} }, /accept\.options\.webhook.*not available/],
    [{ maxBody: -1 }, /accept\.options\.maxBody/],
    [{ inputs: 1 }, /accept\.options\.inputs.*left out/],
  ])('%j is refused', async (options, message) => {
    const { http } = stage()
    await expect(http.accept(posting(1), report, options as AcceptOptions<unknown>)).rejects.toMatchObject({
      code: 'OFFSTAGE_BAD_OPTION',
      message: expect.stringMatching(message) as unknown,
    })
  })
})

test('on a socket: 413 for what is announced and for what comes, and the connection goes on', async () => {
  const world = stage({ public: true, limits: { body: 1_000 } })
  const served = await serveStage(world, { '/reports': report })
  const large = JSON.stringify('x'.repeat(200_000))
  const json = { 'content-type': 'application/json' }
  expect(
    (
      await ask(served, '/reports', {
        method: 'POST',
        headers: { ...json, 'content-length': String(large.length) },
        body: large,
      })
    ).status,
  ).toBe(413)
  expect(
    (
      await ask(served, '/reports', {
        method: 'POST',
        headers: { ...json, 'transfer-encoding': 'chunked' },
        body: large,
      })
    ).status,
  ).toBe(413)
  expect((await ask(served, '/reports', { method: 'POST', headers: json, body: '1' })).status).toBe(202)
  expect(world.starts).toHaveLength(1)
})

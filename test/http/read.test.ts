import { describe, expect, test } from 'vitest'
import type { Run } from '../../src/core/run.ts'
import { FOREVER } from '../../src/core/waiting.ts'
import { aRun, running, succeeded } from './fake-runs.ts'
import { ABSENT, bodyOf, getting, ID, NOW, stage, type Stage } from './stage.ts'

const read = ({ http }: Stage, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<Response> =>
  http.fetch(getting(`/runs/${ID}`, { method, headers }))
const readOf = async (run: Partial<Run>): Promise<Record<string, unknown>> => {
  const world = stage()
  world.runs.put(aRun(run), 3)
  return bodyOf(await read(world))
}

describe('a run', () => {
  test('is told with every header of the contract', async () => {
    const world = stage()
    world.runs.put(aRun(running), 3)
    const answer = await read(world)
    expect(Object.fromEntries(answer.headers)).toEqual({
      'access-control-expose-headers':
        'Location, Content-Location, Retry-After, ETag, Preference-Applied, Idempotency-Replayed, Link',
      'cache-control': 'no-store',
      'content-type': 'application/json',
      etag: '"3"',
      'referrer-policy': 'no-referrer',
      'retry-after': '1',
      vary: 'Accept, Authorization, Cookie',
      'x-content-type-options': 'nosniff',
    })
  })

  test('that waits for a signal says for which; without a bound it is due in the last year that four digits can say', async () => {
    const body = await readOf({ ...running, state: 'waiting', waitingFor: 'paid', dueAt: new Date(FOREVER) })
    expect([body['waitingFor'], body['dueAt']]).toEqual(['paid', '9999-12-31T23:59:59.999Z'])
  })

  test('carries no field that the contract does not name', async () => {
    const body = await readOf({
      ...running,
      input: 'secret',
      error: { name: 'E', message: 'm', stack: 'secret', cause: { name: 'C', message: 'secret' }, expose: true },
    } as Partial<Run>)
    expect(JSON.stringify(body)).not.toContain('secret')
    expect(body['error']).toEqual({ name: 'E', message: 'm' })
  })

  test.each([
    ['OFFSTAGE_TIMEOUT', 'timeout'],
    ['OFFSTAGE_CRASHED', 'crashed'],
    ['OFFSTAGE_POISONED', 'poisoned'],
  ] as const)('that failed by %s says so', async (code, reason) => {
    const error = { name: 'TimeoutError', message: 'The attempt took longer than 5s.', code, stack: 'secret' }
    expect((await readOf({ state: 'failed', done: true, reason, error }))['error']).toEqual({
      name: 'TimeoutError',
      message: 'The attempt took longer than 5s.',
      code,
    })
  })

  test.each(['OFFSTAGE_STORE_UNAVAILABLE', 'ENOENT', undefined])(
    'that failed otherwise (%s) keeps the words to itself',
    async (code) => {
      const error = { name: 'SecretError', message: 'secret', ...(code === undefined ? {} : { code }) }
      expect((await readOf({ state: 'failed', done: true, reason: 'error', error }))['error']).toEqual({
        name: 'Error',
        message: 'The task failed.',
        code: 'OFFSTAGE_RUN_FAILED',
      })
    },
  )

  test('that was canceled does not tell by whom', async () => {
    const error = { name: 'CanceledError', message: 'The run was canceled: secret', code: 'OFFSTAGE_CANCELED' }
    expect(await readOf({ state: 'canceled', done: true, reason: 'canceled', error })).not.toHaveProperty('error')
  })

  test('shows its result up to 64 KiB of JSON, and none that JSON cannot say', async () => {
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    const results: [unknown, boolean][] = [
      ['x'.repeat(65_534), true],
      ['x'.repeat(65_535), false],
      ['ü'.repeat(40_000), false],
      [null, true],
      [undefined, false],
      [1n, false],
      [cycle, false],
      [() => 1, false],
    ]
    for (const [result, isShown] of results)
      expect(Object.hasOwn(await readOf({ ...succeeded, result }), 'result')).toBe(isShown)
  })

  test.each<[Partial<Run>, string[]]>([
    [{}, ['self', 'events', 'cancel']],
    [running, ['self', 'events', 'cancel']],
    [succeeded, ['self', 'events']],
    [{ state: 'failed', done: true }, ['self', 'events']],
    [{ state: 'canceled', done: true }, ['self', 'events']],
  ])('links to what its state allows: %j', async (run, links) => {
    expect(Object.keys((await readOf(run))['links'] as object)).toEqual(links)
  })

  test.each<[string, Partial<Run>, string | null]>([
    ['young', { createdAt: new Date(NOW - 900) }, '1'],
    ['a minute old', { ...running, createdAt: new Date(NOW - 60_000) }, '6'],
    ['an hour old', { createdAt: new Date(NOW - 3_600_000) }, '30'],
    ['from the future', { createdAt: new Date(NOW + 3_600_000), dueAt: new Date(NOW) }, '1'],
    ['delayed', { dueAt: new Date(NOW + 90_500) }, '91'],
    ['delayed for a day', { dueAt: new Date(NOW + 86_400_000) }, '300'],
    ['between two tries', { attempt: 1, dueAt: new Date(NOW + 90_500) }, '1'],
    ['done', succeeded, null],
  ])('that is %s is worth another look after some seconds', async (_, run, seconds) => {
    const world = stage()
    world.runs.put(aRun(run), 3)
    expect((await read(world)).headers.get('retry-after')).toBe(seconds)
  })
})

describe('what is known already', () => {
  test.each([
    ['"3"', 304],
    ['W/"3"', 304],
    ['"1", W/"3"', 304],
    ['*', 304],
    ['"33"', 200],
    ['3', 200],
    ['""', 200],
  ])('If-None-Match: %s is %i', async (known, status) => {
    const world = stage()
    world.runs.put(aRun(running), 3)
    const answer = await read(world, { 'if-none-match': known })
    expect([answer.status, answer.headers.get('etag'), answer.headers.get('retry-after')]).toEqual([status, '"3"', '1'])
    expect((await answer.text()) === '').toBe(status === 304)
  })
})

describe('what it is told as', () => {
  const [JSON_TYPE, STREAM] = ['application/json', 'text/event-stream; charset=utf-8']
  test.each([
    [undefined, JSON_TYPE],
    ['', JSON_TYPE],
    ['*/*', JSON_TYPE],
    ['application/json', JSON_TYPE],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', JSON_TYPE],
    ['application/json, text/event-stream', JSON_TYPE],
    ['text/event-stream', STREAM],
    ['Text/Event-Stream', STREAM],
    ['text/event-stream, */*', STREAM],
    ['text/event-stream, application/json;q=0.5', STREAM],
    ['text/event-stream;q=0.5, application/json', JSON_TYPE],
    ['text/event-stream;q=0, */*', JSON_TYPE],
    ['text/*', STREAM],
    ['text/html', 'application/problem+json'],
    ['application/json;q=0', 'application/problem+json'],
    ['application/json;q=none', 'application/problem+json'],
  ])('Accept: %s is %s', async (accept, type) => {
    const world = stage()
    world.runs.put(aRun(running), 3)
    const answer = await read(world, accept === undefined ? {} : { accept })
    expect(answer.headers.get('content-type')).toBe(type)
    expect(answer.status).toBe(type === 'application/problem+json' ? 406 : 200)
    await answer.body?.cancel()
  })

  test('HEAD answers as GET, without the body, and opens no stream', async () => {
    const world = stage()
    world.runs.put(aRun(running), 3)
    for (const headers of [
      {},
      { accept: 'text/event-stream' },
      { 'if-none-match': '"3"' },
      { accept: 'image/png' },
    ] as Record<string, string>[]) {
      const [get, head] = [await read(world, headers), await read(world, headers, 'HEAD')]
      expect([head.status, Object.fromEntries(head.headers), head.body]).toEqual([
        get.status,
        Object.fromEntries(get.headers),
        null,
      ])
      await get.body?.cancel()
    }
    expect(world.clock.armed).toBe(0)
  })
})

describe('what is not there', () => {
  const idAt = (moment: number): string => {
    const hex = moment.toString(16).padStart(12, '0')
    return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
  }
  test.each([
    [idAt(NOW), 404],
    [idAt(NOW - 86_400_000), 404],
    [idAt(NOW - 86_400_001), 410],
    [idAt(NOW + 86_400_000), 404],
    ['00000000-0000-7000-8000-000000000000', 410],
  ])('%s is %i, by the time in the id alone', async (id, status) => {
    const { http } = stage()
    const answer = await http.fetch(getting(`/runs/${id}`))
    expect([answer.status, (await bodyOf(answer))['status'], answer.headers.get('vary')]).toEqual([
      status,
      status,
      'Accept, Authorization, Cookie',
    ])
  })

  test.each([
    'events',
    'start',
    'x',
    ID.toUpperCase(),
    `${ID}%20`,
    `${ID}%00`,
    ID.replaceAll('-', ''),
    ID.replace('-7', '-4'),
    `{${ID}}`,
    '..%2f..%2fetc',
    '%',
  ])('%s is no id: nothing is looked up', async (id) => {
    const { http, runs } = stage()
    const answer = await http.fetch(getting(`/runs/${id}`))
    expect([answer.status, (await bodyOf(answer))['code'], runs.lookups]).toEqual([404, 'OFFSTAGE_RUN_NOT_FOUND', 0])
  })

  test.each([
    '/',
    '/runs',
    '/runs/',
    `/runs/${ID}/`,
    `/runs//${ID}`,
    `//runs/${ID}`,
    `/Runs/${ID}`,
    `/runs/${ID}/events/`,
    `/runs/${ID}/Cancel`,
    `/runs/${ID}/result`,
    `/runs/${ID}/rerun`,
    `/runsx/${ID}`,
    `/x/runs/${ID}`,
  ])('%s is none of our paths', async (path) => {
    const world = stage()
    world.runs.put(aRun(running), 3)
    const answer = await world.http.fetch(new Request(`http://localhost${path}`))
    expect([answer.status, (await bodyOf(answer))['type'], world.runs.lookups]).toEqual([404, 'about:blank', 0])
  })

  test('a store that does not answer is 503 with its Retry-After, and no path of the disk', async () => {
    const { http, runs, log } = stage()
    const { OffstageError } = await import('../../src/core/errors.ts')
    runs.broken = new OffstageError('OFFSTAGE_STORE_UNAVAILABLE', 'secret/path')
    const answer = await http.fetch(getting(`/runs/${ABSENT}`))
    expect([answer.status, answer.headers.get('retry-after'), await answer.text()]).toEqual([
      503,
      '5',
      expect.not.stringContaining('secret') as unknown,
    ])
    expect(log).toHaveLength(1)
  })
})

import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { parseHttp } from '../../src/http/access.ts'
import { toNode } from '../../src/http/adapters/node.ts'
import type { Ask, HttpOptions, Right } from '../../src/http/contract.ts'
import { ROUTES } from '../../src/http/routes.ts'
import { task } from '../../src/core/task.ts'
import { aRun, running } from './fake-runs.ts'
import { ABSENT, ask, bodyOf, getting, ID, posting, serve, serveStage, stage, type Served } from './stage.ts'

const report = task({ name: 'report', run: (input: unknown) => input })
const whoever = (request: Request): string | undefined => request.headers.get('x-user') ?? undefined

describe('closed by default', () => {
  const said = {
    code: 'OFFSTAGE_BAD_OPTION',
    message: expect.stringMatching(/authorize.*owner.*public: true/) as unknown,
  }

  test.each<[HttpOptions | undefined]>([
    [undefined],
    [{}],
    [{ public: false }],
    [{ origins: ['https://a.example'], basePath: '/x' }],
  ])('%j', async (options) => {
    const { http, runs } = stage(options ?? {})
    await expect(http.fetch(getting(`/runs/${ID}`))).rejects.toMatchObject(said)
    await expect(http.fetch(getting('/elsewhere'))).rejects.toMatchObject(said)
    await expect(http.accept(posting(1), report)).rejects.toMatchObject(said)
    expect(() => toNode(http.fetch)).toThrow(expect.objectContaining(said))
    expect(runs.lookups).toBe(0)
  })

  test.each<[HttpOptions]>([[{ public: true }], [{ owner: whoever }], [{ authorize: () => false }]])(
    'open: %j',
    async (options) => {
      const { http } = stage(options)
      expect(() => toNode(http.fetch)).not.toThrow()
      expect((await http.fetch(getting(`/runs/${ID}`))).status).toBe(404)
    },
  )

  test('behind a function of the application it is 500 at the first request, and the words are on stderr', async () => {
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    onTestFinished(() => stderr.mockRestore())
    const { http } = stage({})
    const served = await serve(toNode((request) => http.fetch(request)))
    const answer = await ask(served, `/runs/${ID}`)
    expect([answer.status, answer.text]).toEqual([500, expect.not.stringContaining('authorize') as unknown])
    expect(stderr).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/authorize.*owner.*public: true/))
  })
})

describe('the options', () => {
  test.each([
    [{ basePath: 'runs' }, 'http.basePath'],
    [{ basePath: '/runs/' }, 'http.basePath'],
    [{ basePath: '/' }, 'http.basePath'],
    [{ basePath: '' }, 'http.basePath'],
    [{ basePath: '//evil.example' }, 'http.basePath'],
    [{ basePath: '/a//b' }, 'http.basePath'],
    [{ basePath: '/a/../b' }, 'http.basePath'],
    [{ basePath: '/a?b' }, 'http.basePath'],
    [{ basePath: '/a b' }, 'http.basePath'],
    [{ authorize: true }, 'http.authorize'],
    [{ owner: 'ada' }, 'http.owner'],
    [{ public: 'yes' }, 'http.public'],
    [{ origins: 'https://a.example' }, 'http.origins'],
    [{ origins: ['https://a.example/'] }, 'http.origins[0]'],
    [{ origins: ['https://a.example', '*'] }, 'http.origins[1]'],
    [{ origins: ['null'] }, 'http.origins[0]'],
    [{ limits: { body: 0 } }, 'http.limits.body'],
    [{ limits: { streams: 1.5 } }, 'http.limits.streams'],
    [{ limits: { wait: '5s' } }, 'http.limits.wait'],
    [{ limit: { starts: 1, per: '1s' } }, 'http.limit'],
    [{ maxBody: 1 }, 'http.maxBody'],
    [true, 'http'],
  ])('%j is refused', (options, at) => {
    expect(() => parseHttp(options, 'http')).toThrow(
      expect.objectContaining({
        code: 'OFFSTAGE_BAD_OPTION',
        message: expect.stringContaining(`\`${at}\``) as unknown,
      }),
    )
  })

  test('have the defaults of the contract, and are frozen', () => {
    const settings = parseHttp(undefined, 'http')
    expect(settings).toMatchObject({
      basePath: '/runs',
      public: false,
      origins: [],
      limits: { body: undefined, streams: 1_000, streamsPerOwner: 20 },
    })
    expect(Object.isFrozen(settings) && Object.isFrozen(settings.limits) && Object.isFrozen(settings.origins)).toBe(
      true,
    )
  })
})

describe('each route, each method, each caller', () => {
  const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'QUERY']
  const CALLERS: readonly {
    name: string
    options: HttpOptions
    headers: Record<string, string>
    can: boolean | 'view'
  }[] = [
    { name: 'public', options: { public: true }, headers: {}, can: true },
    { name: 'the owner', options: { owner: whoever }, headers: { 'x-user': 'user-42' }, can: true },
    { name: 'another owner', options: { owner: whoever }, headers: { 'x-user': 'user-7' }, can: false },
    { name: 'nobody', options: { owner: whoever }, headers: {}, can: false },
    { name: 'nobody, of a run of nobody', options: { owner: () => '' }, headers: {}, can: false },
    { name: 'authorize says no', options: { authorize: () => false, public: true }, headers: {}, can: false },
    { name: 'authorize says nothing', options: { authorize: (() => undefined) as never }, headers: {}, can: false },
    {
      name: 'authorize says yes in another way',
      options: { authorize: (() => 'yes') as never },
      headers: {},
      can: false,
    },
    { name: 'authorize says yes', options: { authorize: async () => true }, headers: {}, can: true },
    ...(['view', 'payload', 'act'] as const).map((right) => ({
      name: `authorize grants ${right}`,
      options: { authorize: () => [right] },
      headers: {},
      can: right === 'view' ? ('view' as const) : false,
    })),
  ]
  const expected = (
    method: string,
    route: (typeof ROUTES)[number],
    { can, granted }: { can: boolean | 'view'; granted: Right | undefined },
  ): number => {
    if (method === 'OPTIONS') return 204
    const isRead = method === 'HEAD' || method === 'GET'
    if ((isRead ? 'GET' : method) !== route.method) return 405
    if (can === true || granted === route.right) return route.method === 'POST' ? 202 : 200
    return can === 'view' ? 403 : 404
  }

  test.each(CALLERS)('$name', async ({ name, options, headers, can }) => {
    const granted = /grants (\w+)/.exec(name)?.[1] as Right | undefined
    const world = stage(options)
    const served = await serveStage(world)
    for (const route of ROUTES) {
      const allowed = ROUTES.filter(({ path }) => path === route.path)
      for (const method of METHODS) {
        world.runs.put(aRun({ ...running, owner: name.endsWith('of nobody') ? null : 'user-42', result: 'payload' }), 3)
        const path = `/runs${route.path.replace('{id}', ID)}`
        const answer = await headOf(served, path, { method, headers })
        expect({ method, path, status: answer.status }).toEqual({
          method,
          path,
          status: expected(method, route, { can, granted }),
        })
        if (answer.status === 405 || answer.status === 204)
          expect(answer.headers.get('allow')).toBe(
            [...allowed.flatMap((one) => (one.method === 'GET' ? ['GET', 'HEAD'] : [one.method])), 'OPTIONS'].join(
              ', ',
            ),
          )
        expect(answer.headers.get('cache-control')).toContain('no-store')
        expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
      }
    }
    expect(world.runs.reasons).toHaveLength(can === true || granted === 'act' ? 1 : 0)
  })

  /** Status and headers; a stream is left as soon as they are there. node:http, since fetch refuses TRACE. */
  async function headOf(
    served: Served,
    path: string,
    { method, headers }: { method: string; headers: Record<string, string> },
  ) {
    if (method === 'TRACE') {
      const answer = await ask(served, path, { method, headers })
      return { status: answer.status, headers: new Headers(answer.headers as Record<string, string>) }
    }
    const abort = new AbortController()
    const answer = await fetch(served.url + path, { method, headers, signal: abort.signal })
    abort.abort()
    return { status: answer.status, headers: answer.headers }
  }
})

describe('authorize', () => {
  test("is asked for the route's action and right, with the run and the owner", async () => {
    const asked: Ask[] = []
    const world = stage({ owner: whoever, authorize: (_, what) => asked.push(what) > 0 })
    const run = aRun(running)
    world.runs.put(run, 3)
    await world.http.fetch(getting(`/runs/${ID}`, { headers: { 'x-user': 'ada' } }))
    await world.http.fetch(getting(`/runs/${ID}/cancel`, { method: 'POST' }))
    expect(asked).toEqual([
      { action: 'read', right: 'view', run, owner: 'ada' },
      { action: 'cancel', right: 'act', run },
    ])
  })

  test('is asked as often for a run that is not there, and its yes is ignored', async () => {
    for (const verdict of [true, false, ['payload'], ['view']] as const) {
      const counts: number[] = []
      for (const id of [ID, ABSENT]) {
        let count = 0
        const world = stage({
          authorize: (_, { run }) => (count++, run === undefined || verdict !== true ? verdict : false),
        })
        world.runs.put(aRun(running), 3)
        for (const method of ['GET', 'POST']) {
          const answer = await world.http.fetch(getting(`/runs/${id}${method === 'POST' ? '/cancel' : ''}`, { method }))
          if (id === ABSENT) expect(answer.status).toBe(404)
        }
        counts.push(count)
      }
      expect(counts[0]).toBe(counts[1])
    }
  })

  test('whose Response is sent as it is, for runs that are not there too', async () => {
    const world = stage({
      authorize: () => new Response('log in', { status: 401, headers: { 'www-authenticate': 'Bearer' } }),
    })
    world.runs.put(aRun(running), 3)
    for (const id of [ID, ABSENT]) {
      const answer = await world.http.fetch(getting(`/runs/${id}`))
      expect([answer.status, await answer.text(), [...answer.headers.keys()].sort()]).toEqual([
        401,
        'log in',
        ['content-type', 'www-authenticate'],
      ])
    }
  })

  test('that throws is 500, and nothing of the run', async () => {
    const world = stage({ authorize: () => Promise.reject(new Error('secret')) })
    world.runs.put(aRun(running), 3)
    const answer = await world.http.fetch(getting(`/runs/${ID}`))
    expect([answer.status, await answer.text()]).toEqual([500, expect.not.stringMatching(/secret|report/) as unknown])
    expect(world.log).toHaveLength(1)
  })

  test.each<[string, unknown, boolean]>([
    ['true', true, true],
    ['view alone', ['view'], false],
    ['view and payload', ['view', 'payload'], true],
  ])('%s: the result is shown to payload alone', async (_, answer, isShown) => {
    const world = stage({ authorize: () => answer as boolean })
    world.runs.put(aRun({ state: 'succeeded', done: true, result: 'the payload' }), 3)
    expect((await (await world.http.fetch(getting(`/runs/${ID}`))).text()).includes('the payload')).toBe(isShown)
  })

  test('may let a run be seen and not acted on: 403', async () => {
    const world = stage({ authorize: (_, { right }) => right === 'view' })
    world.runs.put(aRun(running), 3)
    const answer = await world.http.fetch(getting(`/runs/${ID}/cancel`, { method: 'POST' }))
    expect([answer.status, await bodyOf(answer), world.runs.reasons]).toMatchObject([
      403,
      { code: 'OFFSTAGE_UNAUTHORIZED' },
      [],
    ])
  })
})

describe('not yours', () => {
  test.each(ROUTES)('$method $path: byte for byte as an id that never was', async ({ method, path }) => {
    const world = stage({ owner: whoever })
    const old = ID.replace('01a2', '00a2')
    for (const id of [ID, old]) world.runs.put(aRun({ ...running, id }), 3)
    const served = await serveStage(world)
    const told = async (id: string) => {
      const { status, headers, text } = await ask(served, `/runs${path.replace('{id}', id)}`, {
        method,
        headers: { 'x-user': 'user-7' },
      })
      const { date: _, ...others } = headers
      return { status, others, text }
    }
    expect(await told(ID)).toEqual(await told(ABSENT))
    expect(await told(old)).toEqual(await told(ABSENT.replace('01a2', '00a2')))
    expect([(await told(ID)).status, (await told(old)).status]).toEqual([404, 410])
  })

  test.each(['user-4', 'user-42 ', 'user-42\u0000', 'USER-42', 'user-42.evil', '%', 'null', 'undefined'])(
    '%j is not user-42',
    async (owner) => {
      const world = stage({ owner: () => owner })
      world.runs.put(aRun(running), 3)
      expect((await world.http.fetch(getting(`/runs/${ID}`))).status).toBe(404)
    },
  )

  test('an owner that is no text is an error of the application', async () => {
    const world = stage({ owner: (() => 42) as never })
    world.runs.put(aRun({ ...running, owner: '42' }), 3)
    expect((await world.http.fetch(getting(`/runs/${ID}`))).status).toBe(500)
    expect(world.log).toEqual([
      expect.objectContaining({
        err: expect.objectContaining({ message: expect.stringContaining('http.owner') as unknown }) as unknown,
      }),
    ])
  })
})

describe('pages of other sites', () => {
  const cases: readonly [headers: Record<string, string>, isAllowed: boolean][] = [
    [{}, true],
    [{ cookie: 'sid=1' }, false],
    [{ 'sec-fetch-site': 'same-origin', cookie: 'sid=1' }, true],
    [{ 'sec-fetch-site': 'none', cookie: 'sid=1' }, true],
    [{ 'sec-fetch-site': 'same-site' }, false],
    [{ 'sec-fetch-site': 'cross-site' }, false],
    [{ 'sec-fetch-site': 'something' }, false],
    [{ 'sec-fetch-site': 'cross-site', origin: 'http://localhost' }, false],
    [{ 'sec-fetch-site': 'cross-site', origin: 'https://app.example' }, true],
    [{ 'sec-fetch-site': 'same-site', origin: 'https://app.example' }, true],
    [{ 'sec-fetch-site': 'cross-site', origin: 'https://app.example.evil' }, false],
    [{ 'sec-fetch-site': 'cross-site', origin: 'http://app.example' }, false],
    [{ origin: 'http://localhost', cookie: 'sid=1' }, true],
    [{ origin: 'https://localhost', cookie: 'sid=1' }, true],
    [{ origin: 'http://localhost:8080' }, false],
    [{ origin: 'https://evil.example' }, false],
    [{ origin: 'https://app.example', cookie: 'sid=1' }, true],
    [{ origin: 'null' }, false],
    [{ origin: 'https://app.example, https://evil.example' }, false],
  ]

  test.each(cases)('%j: %s', async (headers, isAllowed) => {
    const world = stage({ public: true, origins: ['https://app.example'] })
    world.runs.put(aRun(running), 3)
    const canceled = await world.http.fetch(getting(`/runs/${ID}/cancel`, { method: 'POST', headers }))
    const accepted = await world.http.accept(posting(1, headers), report)
    expect([canceled.status, accepted.status]).toEqual(isAllowed ? [202, 202] : [403, 403])
    expect([world.runs.reasons.length, world.starts.length]).toEqual(isAllowed ? [1, 1] : [0, 0])
    if (!isAllowed) expect(await bodyOf(accepted)).toMatchObject({ code: 'OFFSTAGE_UNAUTHORIZED', status: 403 })
  })

  test('may read, since nothing is changed by it', async () => {
    const world = stage()
    world.runs.put(aRun(running), 3)
    expect(
      (await world.http.fetch(getting(`/runs/${ID}`, { headers: { 'sec-fetch-site': 'cross-site', cookie: 'sid=1' } })))
        .status,
    ).toBe(200)
  })
})

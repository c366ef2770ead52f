import { describe, expect, test } from 'vitest'
import { aRun, running, succeeded } from './fake-runs.ts'
import { ABSENT, bodyOf, getting, ID, stage, type Stage } from './stage.ts'

const json = { 'content-type': 'application/json' }
const cancel = (
  { http }: Stage,
  body?: string,
  headers: Readonly<Record<string, string>> = body === undefined ? {} : json,
): Promise<Response> =>
  http.fetch(getting(`/runs/${ID}/cancel`, { method: 'POST', headers, ...(body === undefined ? {} : { body }) }))

describe('cancel', () => {
  test.each<[string | undefined, string | undefined]>([
    ['{"reason":"The page was closed"}', 'The page was closed'],
    ['{"other":1}', undefined],
    ['{}', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('passes on a reason, where there is one: %s', async (body, reason) => {
    const world = stage()
    world.runs.put(aRun(running), 3)
    expect((await cancel(world, body)).status).toBe(202)
    expect(world.runs.reasons).toEqual([reason])
  })

  test.each([
    ['{"reason":1}', 422, '#/reason'],
    ['{"reason":null}', 422, '#/reason'],
    ['"text"', 422, '#'],
    ['null', 422, '#'],
    ['{', 400, undefined],
    ['['.repeat(65), 400, undefined],
  ])('refuses a body that is none of its: %s', async (body, status, pointer) => {
    const world = stage()
    world.runs.put(aRun(running), 3)
    const answer = await cancel(world, body)
    const { code, errors } = (await bodyOf(answer)) as { code: string; errors?: { pointer: string }[] }
    expect([answer.status, code, errors?.[0]?.pointer]).toEqual([status, 'OFFSTAGE_INVALID_INPUT', pointer])
    expect(world.runs.reasons).toEqual([])
  })

  test('takes no form of a page, and no more than the limit', async () => {
    const world = stage({ public: true, limits: { body: 10 } })
    world.runs.put(aRun(running), 3)
    expect((await cancel(world, 'reason=x', { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(415)
    expect((await cancel(world, '{"reason":"long"}')).status).toBe(413)
    const unread = getting(`/runs/${ID}/cancel`, {
      method: 'POST',
      headers: { ...json, 'content-length': '11' },
      body: '{}',
    })
    expect([(await world.http.fetch(unread)).status, unread.bodyUsed]).toEqual([413, false])
    expect(world.runs.reasons).toEqual([])
  })

  test('of one canceled before is 200 again', async () => {
    const world = stage()
    world.runs.put(aRun(), 1)
    expect([(await cancel(world)).status, (await cancel(world)).status]).toEqual([200, 200])
  })

  test('of one that ended otherwise is 409 and says how', async () => {
    const world = stage()
    for (const run of [succeeded, { ...succeeded, state: 'failed', reason: 'error' } as const]) {
      world.runs.put(aRun(run), 8)
      const answer = await cancel(world)
      expect([answer.status, await bodyOf(answer)]).toMatchObject([
        409,
        { run: ID, state: run.state, detail: `The run had ${run.state} before it could be canceled.` },
      ])
    }
  })

  test('of one that is gone meanwhile is 404', async () => {
    const world = stage()
    world.runs.put(aRun(running), 3)
    const { runs } = world
    const [get, ended] = [runs.get.bind(runs), runs.cancel.bind(runs)]
    runs.get = async (id) => {
      const found = await get(id)
      runs.forget(id)
      return found
    }
    expect((await cancel(world)).status).toBe(404)
    runs.put(aRun(running), 3)
    runs.get = get
    runs.cancel = async (id, reason) => {
      const verdict = await ended(id, reason)
      runs.forget(id)
      return verdict
    }
    expect((await cancel(world)).status).toBe(404)
    expect((await world.http.fetch(getting(`/runs/${ABSENT}/cancel`, { method: 'POST' }))).status).toBe(404)
  })

  test('by GET changes nothing', async () => {
    const world = stage()
    world.runs.put(aRun(running), 3)
    const answer = await world.http.fetch(
      getting(`/runs/${ID}/cancel`, { headers: { 'x-http-method-override': 'POST' } }),
    )
    expect([answer.status, answer.headers.get('allow'), world.runs.reasons]).toEqual([405, 'POST, OPTIONS', []])
  })
})

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { OffstageError } from '../../src/core/errors.ts'
import type { StandardSchemaV1 } from '../../src/core/schema.ts'
import { task } from '../../src/core/task.ts'
import { ROUTES } from '../../src/http/routes.ts'
import { aRun, running, succeeded } from './fake-runs.ts'
import { ask, Frames, ID, parsed, serveStage, stage, type Served, type Stage } from './stage.ts'

/** What the contract names and a later version builds: a key is refused, links lead to routes that are there. */
const UNBUILT_HEADERS = ['idempotency-key']
const UNBUILT_LINKS = ['result', 'rerun'].filter((link) => !ROUTES.some((route) => route.link === link))

interface Message {
  readonly first: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** An ```http block: requests and answers in turn. */
function messagesOf(block: string): Message[] {
  const starts = /^(?=(?:GET|POST) \/|HTTP\/1\.1 )/m
  return block.split(starts).map((text) => {
    const [head = '', ...rest] = text.replace(/^ {20,}\(.*\)\n/m, '').split('\n\n')
    const [first = '', ...lines] = head.trim().split('\n')
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
    )
    return { first, headers, body: rest.join('\n\n').trim() }
  })
}

const sections = readFileSync(new URL('transcripts.md', import.meta.url), 'utf8')
  .split(/^(?=\*\*)/m)
  .slice(1)
const transcripts = sections.flatMap((section) => {
  const title = /^\*\*([^*]+)\*\*/.exec(section)![1]!
  return [...section.matchAll(/```http\n([\s\S]*?)```/g)].map((match, index) => ({
    name: `${title} ${index + 1}`,
    messages: messagesOf(match[1]!),
  }))
})

const rows: StandardSchemaV1<{ rows: number }> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      const { rows: given, columns } = value as { rows?: unknown; columns?: { width: number }[] }
      if (typeof given === 'number') return { value: { rows: given } }
      return {
        issues: [
          { message: 'Expected a number.', path: ['rows'] },
          ...(columns === undefined
            ? []
            : [{ message: 'Must be at least 0.', path: ['columns', { key: 0 }, 'width'] }]),
        ],
      }
    },
  },
}
const tasks = {
  '/reports': task({ name: 'report', input: rows, run: () => undefined }),
  '/thumbnails': task({ name: 'thumbnail', run: (input: unknown) => input }),
}

const delayed = aRun({
  id: '01a20598-87b2-7e1b-a9d7-20c86f4be1a5',
  createdAt: new Date('2026-11-22T23:30:12.018Z'),
  dueAt: new Date('2026-11-22T23:40:12.018Z'),
})
const exported = aRun({
  id: '01a20595-4f36-7c55-8e02-74ab19d3f06c',
  task: 'export',
  state: 'failed',
  done: true,
  attempt: 3,
  tries: 3,
  maxAttempts: 3,
  reason: 'error',
  createdAt: new Date('2026-11-22T23:26:40.950Z'),
  dueAt: new Date('2026-11-22T23:26:44.512Z'),
  startedAt: new Date('2026-11-22T23:26:44.519Z'),
  finishedAt: new Date('2026-11-22T23:26:45.033Z'),
  expiresAt: new Date('2026-12-06T23:26:45.033Z'),
  error: {
    name: 'ReportError',
    message: 'There are no rows for 2026-10.',
    code: 'REPORT_NO_DATA',
    stack: 'secret',
    expose: true,
  },
})
const progress = (done: number) => ({ fraction: done / 5, done, total: 5 })

/** The world in which each is true. */
const WORLDS: Readonly<Record<string, (stage: Stage) => void>> = {
  'Accepted 1': () => undefined,
  'An input that the schema refuses 1': () => undefined,
  'Overload 1': ({ failing }) => {
    const words =
      '10,000 runs are waiting in memory, which is all this instance takes. Nothing was started; try again later.'
    failing.error = new OffstageError('OFFSTAGE_OVERLOADED', words)
  },
  'Read while running 1': ({ runs }) => runs.put(aRun({ ...running, progress: progress(2) }), 4),
  'Read after it failed 1': ({ runs }) => runs.put(exported, 7),
  'Cancel 1': ({ runs }) => runs.put(aRun({ ...running, progress: progress(3) }), 5),
  'Cancel 2': ({ runs }) => runs.put(delayed, 1),
  'Cancel 3': ({ runs }) => runs.put(aRun(succeeded), 8),
  "Somebody else's run, and a run that never was 1": ({ runs }) => runs.put(aRun(running), 4),
  "From another site's page 1": ({ runs }) => runs.put(aRun(running), 4),
}

const owner = (request: Request): string =>
  request.headers.get('authorization') === 'Bearer token-of-user-7' ? 'user-7' : 'user-42'

function send(served: Served, { first, headers, body }: Message) {
  const [method = '', path = ''] = first.split(' ')
  const sent = Object.fromEntries(Object.entries(headers).filter(([name]) => !UNBUILT_HEADERS.includes(name)))
  return ask(served, path, { method, headers: sent, ...(body === '' ? {} : { body }) })
}

/** The body as a value, without links to what is not built. */
function told(text: string): unknown {
  if (text === '') return undefined
  return JSON.parse(text, (key, value: unknown) =>
    key === 'links'
      ? Object.fromEntries(Object.entries(value as object).filter(([link]) => !UNBUILT_LINKS.includes(link)))
      : value,
  )
}

describe('the transcripts of the contract', () => {
  test('are all replayed', () => {
    expect(transcripts.map(({ name }) => name).sort()).toEqual([...Object.keys(WORLDS), 'Event stream 1'].sort())
  })

  test.for(transcripts.filter(({ name }) => name in WORLDS))('$name', async ({ name, messages }) => {
    const world = stage({ owner })
    WORLDS[name]!(world)
    const served = await serveStage(world, tasks)
    expect(messages).toHaveLength(2)
    const [request, answer] = messages
    const { status, headers, text } = await send(served, request!)
    expect(`HTTP/1.1 ${status}`).toBe(answer!.first.slice(0, 12))
    for (const [header, value] of Object.entries(answer!.headers))
      expect({ [header]: headers[header] }).toEqual({ [header]: value })
    expect(told(text)).toEqual(told(answer!.body))
  })

  test('an error without `expose` keeps its words', async () => {
    const world = stage({ owner })
    const { expose: _, ...error } = exported.error!
    world.runs.put({ ...exported, error }, 7)
    const answer = await ask(await serveStage(world), `/runs/${exported.id}`)
    expect(told(answer.text)).toMatchObject({
      error: { name: 'Error', message: 'The task failed.', code: 'OFFSTAGE_RUN_FAILED' },
    })
    expect(answer.text).not.toMatch(/no rows|secret/)
  })
})

describe('the event stream, cut off and resumed', () => {
  const [, first, resume, second, last, gone] = transcripts.find(({ name }) => name === 'Event stream 1')!.messages
  const shape = (frame: string) => {
    if (!frame.startsWith('id:')) return frame
    const { id, event, data } = parsed(frame)
    return { id, event, data: told(JSON.stringify(data)) }
  }
  const expected = (message: Message | undefined) => message!.body.split('\n\n').map((frame) => shape(frame.trim()))

  test('frame by frame', async () => {
    const world = stage({ owner })
    const { runs, clock } = world
    runs.put(aRun({ ...running, progress: progress(1) }), 3)
    const served = await serveStage(world)
    const open = async (message: Message | undefined) => {
      const answer = await fetch(served.url + message!.first.split(' ')[1]!, { headers: message!.headers })
      return { answer, frames: new Frames(answer) }
    }

    const before = await open({ first: `GET /runs/${ID} HTTP/1.1`, headers: { accept: 'text/event-stream' }, body: '' })
    for (const [header, value] of Object.entries(first!.headers)) expect(before.answer.headers.get(header)).toBe(value)
    const seen = await before.frames.take(2)
    runs.tell(ID, { progress: progress(2) })
    expect([...seen, ...(await before.frames.take(1))].map(shape)).toEqual(expected(first))
    await before.frames.tear()
    runs.tell(ID, { progress: progress(3) })

    const after = await open(resume)
    for (const [header, value] of Object.entries(second!.headers)) expect(after.answer.headers.get(header)).toBe(value)
    const again = await after.frames.take(3)
    runs.tell(ID, { progress: progress(4) })
    again.push(...(await after.frames.take(1)))
    await clock.advance(15_000)
    runs.tell(ID, { progress: progress(5) })
    runs.tell(ID, { change: { ...succeeded, result: { rows: 5 } } })
    expect([...again, ...(await after.frames.rest())].map(shape)).toEqual(expected(second))

    const end = await send(served, last!)
    expect(`HTTP/1.1 ${end.status} No Content`).toBe(gone!.first)
    expect(end.text).toBe('')
  })
})

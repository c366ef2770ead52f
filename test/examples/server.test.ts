import { createHash } from 'node:crypto'
import { existsSync, openAsBlob, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { once } from 'node:events'
import { join } from 'node:path'
import type { RunBody } from 'offstage/http'
import { expect, onTestFinished, test } from 'vitest'
import { eventsOf } from '../../examples/file-report/events.ts'
import { ServerProcess } from '../../examples/file-report/server-process.ts'
import { folder } from './command.ts'

async function serve(): Promise<{
  readonly server: ServerProcess
  readonly data: string
  readonly said: readonly string[]
}> {
  const data = folder()
  const said: string[] = []
  const env = { DATA: data, OFFSTAGE_STORE: `sqlite:${join(data, 'runs.db')}` }
  const server = await ServerProcess.start(new URL('../../examples/file-report/server.ts', import.meta.url), {
    env,
    said: (line) => said.push(line),
  })
  onTestFinished(() => server[Symbol.asyncDispose]())
  return { server, data, said }
}

const uploads = (data: string): readonly string[] => readdirSync(data).filter((name) => /^[0-9a-f-]{36}$/.test(name))

async function post({ url }: ServerProcess, body: Blob | string): Promise<URL> {
  const response = await fetch(new URL('/reports?name=some.txt', url), { method: 'POST', body })
  expect(response.status).toBe(202)
  return new URL(response.headers.get('location') ?? '', url)
}

/** Reads the events up to the end of the run; `at` hears of each. */
async function ended(run: URL, at: (type: string) => Promise<void> | void = () => {}): Promise<RunBody> {
  for await (const { type, data } of eventsOf(run, { signal: AbortSignal.timeout(60_000) })) {
    await at(type)
    if (type === 'done') return data as RunBody
  }
  throw new Error('The stream ended before the run.')
}

test('the page comes with headers by which only its own script and style run', { timeout: 20_000 }, async () => {
  const { server } = await serve()
  const response = await fetch(server.url)
  const html = await response.text()
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  const policy = response.headers.get('content-security-policy')
  expect(policy).toMatch(/^default-src 'none'; connect-src 'self';/)
  for (const tag of ['script', 'style']) {
    const [, own = ''] = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(html) ?? []
    expect(policy).toContain(`${tag}-src 'sha256-${createHash('sha256').update(own).digest('base64')}'`)
  }
  expect(html).not.toMatch(/innerHTML|insertAdjacentHTML|document\.write|\son\w+=/)
})

test('a canceled report takes its digest and its upload with it', { timeout: 40_000 }, async () => {
  const { server, data } = await serve()
  const run = await post(server, 'some words\n'.repeat(3_000_000))
  expect(uploads(data)).toHaveLength(1)
  let asked = 0
  const { state, links } = await ended(run, async (type) => {
    if (type === 'progress' && asked === 0) asked = (await fetch(`${run.href}/cancel`, { method: 'POST' })).status
  })
  expect([asked, state]).toEqual([202, 'canceled'])
  expect(links.cancel).toBeUndefined()
  expect(uploads(data)).toEqual([])
  await until(() => existsSync(join(data, 'audit.log')))
  expect(readFileSync(join(data, 'audit.log'), 'utf8')).toMatch(/^\S+ accepted \/runs\/\S+\n$/)
})

test(
  'a body without a length, one that is too long, and one that breaks off leave nothing behind',
  { timeout: 20_000 },
  async () => {
    const { server, data } = await serve()
    const answer = async (headers: Record<string, string>): Promise<number | undefined> => {
      const sent = request(new URL('/reports', server.url), { method: 'POST', headers })
      sent.flushHeaders()
      const [response] = (await once(sent, 'response')) as [{ statusCode?: number }]
      sent.destroy()
      return response.statusCode
    }
    expect(await answer({ 'transfer-encoding': 'chunked' })).toBe(411)
    expect(await answer({ 'content-length': String(5 * 1024 ** 3) })).toBe(413)

    const broken = request(new URL('/reports', server.url), { method: 'POST', headers: { 'content-length': '1000' } })
    broken.on('error', () => {}).write('only a few')
    await until(() => uploads(data).length === 1)
    broken.destroy()
    await until(() => uploads(data).length === 0)
    expect(existsSync(join(data, 'audit.log'))).toBe(false)
  },
)

/** For what happens in another process: looked at again until it is so, or the test is out of time. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10))
}

const GIB = 1024 ** 3

test.skipIf(!existsSync('/proc/self/status'))(
  'a file of 1 GB is taken in bounded memory',
  { timeout: 80_000 },
  async () => {
    const { server } = await serve()
    const file = join(folder(), 'large')
    writeFileSync(file, '')
    truncateSync(file, GIB) // sparse: all NUL
    const { state, result } = await ended(await post(server, await openAsBlob(file)))
    expect(state).toBe('succeeded')
    expect(result).toMatchObject({
      size: GIB,
      kind: 'binary',
      sha256: '49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14',
    })
    const [, peak] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8')) ?? []
    console.log(`1 GB: the server used ${Math.round(Number(peak) / 1024)} MiB at most`)
    expect(Number(peak)).toBeGreaterThan(0)
    expect(Number(peak) * 1024).toBeLessThan(600e6)
  },
)

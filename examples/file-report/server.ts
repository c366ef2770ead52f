// The file report as a server: `npm start`, then open the address it prints. PORT, DATA (a folder for what is uploaded) and OFFSTAGE_STORE
// may say otherwise than the defaults.
import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createOffstage } from 'offstage'
import { toNode } from 'offstage/node'
import { audit, report, type Upload } from './tasks.ts'

const LARGEST = 4 * 1024 ** 3
const data = resolve(process.env['DATA'] ?? '.offstage/file-report')
await mkdir(data, { recursive: true })

const offstage = createOffstage({
  tasks: import.meta.resolve('./tasks.ts'), // the module, since a thread loads its task from there
  http: { public: true }, // an example on loopback: whoever knows a run's id may read and cancel it
})

/** The body goes to a file, not into memory; the run is given its path. */
async function upload(request: Request): Promise<Response> {
  const refusal = tooLarge(request)
  if (refusal !== undefined) return refusal
  const path = join(data, randomUUID())
  // As a function, `input` is asked for when the request has passed the checks that cost nothing.
  const response = await offstage.accept(request, report, { input: () => save(request, path) })
  // The run was promised: a line that cannot be begun is no reason to answer otherwise.
  if (response.status === 202) offstage.start(audit, auditOf(response)).catch(() => undefined)
  else await rm(path, { force: true })
  return response
}

const auditOf = ({ headers }: Response) => ({
  file: join(data, 'audit.log'),
  line: `accepted ${headers.get('location')}`,
})

/** On the disk, as the run is, before the 202. */
async function save(request: Request, path: string): Promise<Upload> {
  await pipeline(request.body === null ? [] : Readable.fromWeb(request.body), createWriteStream(path, { flush: true }))
  const name = new URL(request.url).searchParams.get('name') ?? 'a file without a name'
  return { path, name: name.slice(0, 200) }
}

/** A length is asked for, so that nobody fills the disk before he is refused; Node takes no more than was announced. */
function tooLarge({ headers }: Request): Response | undefined {
  if (headers.has('transfer-encoding')) return new Response('Send a Content-Length.\n', { status: 411 })
  return Number(headers.get('content-length') ?? 0) > LARGEST
    ? new Response('At most 4 GiB.\n', { status: 413 })
    : undefined
}

const html = await readFile(new URL('page.html', import.meta.url), 'utf8')
/** Only the page's own script and style run, known by their hashes. */
const hashOf = (tag: string): string =>
  `'sha256-${createHash('sha256')
    .update(html.slice(html.indexOf(`<${tag}>`) + tag.length + 2, html.indexOf(`</${tag}>`)))
    .digest('base64')}'`
const page = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; connect-src 'self'; img-src data:; script-src ${hashOf('script')}; style-src ${hashOf('style')}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

const server = createServer(
  toNode((request) => {
    const { pathname } = new URL(request.url)
    if (pathname === '/reports') return upload(request)
    if (pathname === '/' && request.method === 'GET') return new Response(html, { headers: page })
    return offstage.fetch(request)
  }),
)

await offstage.ready // the store is open: whoever is let in now is served
server.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

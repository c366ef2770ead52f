// npm run demo -- [file …]: the whole journey in a terminal. A server in a process of its own takes the file, answers 202, is killed with
// kill -9 at half of the work and started again; the run goes on from its last finished step, and the client that follows it sees it end.
import { globSync, openAsBlob } from 'node:fs'
import { appendFile, mkdtemp, open, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ProgressRecord } from 'offstage'
import type { RunBody } from 'offstage/http'
import { eventsOf } from './events.ts'
import { bytes, failureOf, linesOf, ProgressBar } from './print.ts'
import { ServerProcess } from './server-process.ts'
import type { Report } from './tasks.ts'

const SERVER = new URL('server.ts', import.meta.url)
/** Large enough that the server can be killed in the middle. */
const OWN_TEXT = 48e6

interface Stage {
  readonly server: ServerProcess
  readonly folder: string
  readonly signal: AbortSignal
}

const bar = new ProgressBar(process.stdout)
const say = (line: string): void => bar.say(line)

/** undefined: it can be read. */
async function refusalOf(file: string): Promise<string | undefined> {
  try {
    if (!(await stat(file)).isFile()) return `"${file}" is a folder or a device. Give a file: npm run demo -- FILE`
    await (await open(file)).close()
    return undefined
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    return code === 'ENOENT' ? `There is no file "${file}".` : `"${file}" cannot be read (${code}).`
  }
}

/** This repository's own text, again and again: real enough, and there without a network. */
async function ownText(folder: string): Promise<string> {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const file = join(folder, 'offstage-itself.txt')
  const paths = globSync(['*.md', '{docs,examples,src,test}/**/*.{md,ts}'], { cwd: root })
  const text = Buffer.concat(await Promise.all(paths.map((path) => readFile(join(root, path)))))
  for (let size = 0; size < OWN_TEXT; size += text.length) await appendFile(file, text)
  return file
}

async function upload(server: ServerProcess, file: string): Promise<URL> {
  const target = new URL(`/reports?name=${encodeURIComponent(basename(file))}`, server.url)
  say(`\nPOST ${target.pathname}${target.search}  (${bytes((await stat(file)).size)})`)
  const sentAt = performance.now()
  const response = await fetch(target, { method: 'POST', body: await openAsBlob(file) })
  const location = response.headers.get('location')
  if (response.status !== 202 || location === null)
    throw new Error(`The server answered ${response.status}: ${await response.text()}`)
  say(
    `202 Accepted, after ${Math.round(performance.now() - sentAt)} ms\nLocation: ${location}\n\nGET ${location}  (text/event-stream)`,
  )
  return new URL(location, server.url)
}

/** One stream of events from the 202 to the end, over a kill of the server. */
async function follow(
  server: ServerProcess,
  run: URL,
  signal: AbortSignal,
): Promise<{ readonly run: RunBody; readonly killed: boolean }> {
  let [killed, attempt] = [false, 0]
  let progress: ProgressRecord = {}
  const lost = (lastId: string): void =>
    say(`  the client has lost the server, and comes back with Last-Event-ID: ${lastId}`)
  for await (const { type, data } of eventsOf(run, { signal, lost })) {
    if (type === 'done') return { run: data as RunBody, killed }
    // A reader that comes back is given the run as it is by now, and then the events it missed: the bar goes by these.
    if (type === 'run') attempt = (data as RunBody).attempt
    if (type === 'progress') progress = data as ProgressRecord
    const { fraction = 0, message } = progress
    bar.draw(fraction, `attempt ${attempt}${message === undefined ? '' : `, ${message}`}`)
    if (fraction < 0.5 || killed) continue
    killed = true
    await restart(server)
  }
  throw new Error('The stream ended before the run.')
}

async function restart(server: ServerProcess): Promise<void> {
  const { pid } = server
  await server.kill()
  say(`kill -9 ${pid}`)
  await server.startAgain()
  say(`started again: process ${server.pid}`)
}

/** How often each step was performed: finished ones once, whatever happened. False where one was repeated that should not have been. */
async function tally(folder: string, killed: boolean): Promise<boolean> {
  const lines = (await readFile(join(folder, 'journal.log'), 'utf8')).trimEnd().split('\n')
  const performed = lines.map((line) => line.split('\t')).map(([, step = '', attempt = '']) => ({ step, attempt }))
  const times = Map.groupBy(performed, ({ step }) => step)
  const digests = times.get('digest')?.length ?? 0
  times.delete('digest')
  const again = [...times].filter(([, found]) => found.length > 1).map(([step]) => step)
  const underWay = performed.findLast(({ step, attempt }) => step !== 'digest' && attempt === 'attempt 1')?.step
  const interrupted = again.filter((step) => killed && step === underWay)
  say(`\nThe journal: ${times.size - again.length} steps were performed once.`)
  for (const step of interrupted) say(`  "${step}" twice: the kill interrupted it before its end was on disk.`)
  say(
    `  The digest, a run of its own without steps, was begun ${digests === 1 ? 'once' : `${digests} times: it starts anew when it is interrupted`}.`,
  )
  for (const step of again.filter((one) => !interrupted.includes(one)))
    say(`  WRONG: "${step}" ${times.get(step)?.length} times.`)
  await rm(join(folder, 'journal.log'))
  return interrupted.length === again.length
}

async function journey(stage: Stage, file: string): Promise<boolean> {
  const { server, folder, signal } = stage
  const { run, killed } = await follow(server, await upload(server, file), signal)
  if (run.state !== 'succeeded') {
    say(failureOf(run))
    return false
  }
  const seconds = (Date.parse(run.finishedAt ?? '') - Date.parse(run.createdAt)) / 1_000
  say(`${run.state} at attempt ${run.attempt}, ${seconds.toFixed(1)} s after the 202`)
  // One that is killed when all was done has nothing left to survive.
  const survived = killed && run.attempt > 1
  if (!survived) say('  It was over before the server could be killed: give a larger file to see it survive that.')
  for (const line of linesOf(run.result as Report)) say(line)
  return tally(folder, killed)
}

async function main(files: readonly string[]): Promise<number> {
  for (const file of files) {
    const refusal = await refusalOf(file)
    if (refusal !== undefined) {
      console.error(refusal)
      return 2
    }
  }
  const folder = await mkdtemp(join(tmpdir(), 'offstage-demo-'))
  await using open = new AsyncDisposableStack()
  open.defer(() => rm(folder, { recursive: true, force: true }))
  const ended = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => ended.abort(new Error(`Ended by ${signal}.`)))

  const env = { DATA: folder, OFFSTAGE_STORE: `sqlite:${join(folder, 'runs.db')}` }
  const server = open.use(await ServerProcess.start(SERVER, { env, said: (line) => say(`  server: ${line}`) }))
  say(`A server at ${server.url.origin}, process ${server.pid}, with SQLite in ${folder}`)
  let isGood = true
  for (const file of files.length > 0 ? files : [await ownText(folder)])
    isGood = (await journey({ server, folder, signal: ended.signal }, file)) && isGood
  return isGood ? 0 : 1
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

// Scene 6: the half-hour task. Its client gets an address at once, follows the progress there, and may cancel. A deploy, or a kill -9, costs
// the step that was under way and nothing else: the same client sees the run end. Shortened to seconds; for the real thing:
//   HALF_HOUR=1800 npm run example half-hour-task
import { appendFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createOffstage, task } from 'offstage'
import type { RunBody } from 'offstage/http'
import { toNode } from 'offstage/node'
import { eventsOf } from '../file-report/events.ts'
import { scene } from './support/scene.ts'

const SECONDS = Number(process.env['HALF_HOUR'] ?? 4)
const STEPS = 20
const folder = process.env['FOLDER'] ?? (await mkdtemp(join(tmpdir(), 'offstage-scene-')))
const journal = join(folder, 'journal.log')

const halfHour = task({
  name: 'half-hour',
  durable: true,
  timeout: '2h',
  run: async ({ name }: { name: string }, ctx) => {
    for (let step = 1; step <= STEPS; step++) {
      await ctx.step(`step ${step}`, async ({ signal }) => {
        appendFileSync(journal, `step ${step} of the ${name}\n`) // how the scene counts what was performed
        await sleep((SECONDS / STEPS) * 1_000, undefined, { signal }) // your work
        ctx.progress({ done: step, total: STEPS })
      })
    }
    return { steps: STEPS }
  },
})

await scene(import.meta.url, {
  env: { FOLDER: folder },

  async serve() {
    const offstage = createOffstage({
      tasks: [halfHour],
      store: `sqlite:${join(folder, 'runs.db')}`,
      http: { public: true },
    })
    await offstage.ready // so that the first request need not wait for the store
    return toNode((request) =>
      new URL(request.url).pathname === '/work' ? offstage.accept(request, halfHour) : offstage.fetch(request),
    )
  },

  async play(server, check) {
    const signal = AbortSignal.timeout((2 * SECONDS + 60) * 1_000)
    const post = async (path: string, body: object): Promise<Response> =>
      fetch(new URL(path, server.url), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    const performed = async (): Promise<string[]> => (await readFile(journal, 'utf8')).trimEnd().split('\n')
    const begin = async (name: string): Promise<string> => {
      const sentAt = performance.now()
      const { status, headers } = await post('/work', { name })
      const location = headers.get('location') ?? ''
      check(
        `POST answered ${status} after ${(performance.now() - sentAt).toFixed(0)} ms, Location: ${location}`,
        status === 202 && location.startsWith('/runs/'),
      )
      return location
    }
    try {
      const run = new URL(await begin('first'), server.url)
      let [killed, ended, seen]: [string, RunBody | undefined, number] = ['', undefined, 0]
      const lost = (id: string): void =>
        console.log(`     the client has lost the server, and comes back with Last-Event-ID: ${id}`)
      for await (const { type, data } of eventsOf(run, { signal, lost })) {
        if (type === 'done') {
          ended = data as RunBody
          break
        }
        if (type !== 'progress') continue
        const { fraction } = data as { fraction: number }
        check(`progress ${Math.round(fraction * 100)} %`, fraction > seen)
        seen = fraction
        if (fraction < 0.4 || killed !== '') continue
        await server.kill()
        killed = (await performed()).at(-1) ?? ''
        console.log(`     kill -9 in ${killed}, and started again`)
        await server.startAgain()
      }
      check(
        `the same client saw its end: ${ended?.state}, at attempt ${ended?.attempt}`,
        ended?.state === 'succeeded' && ended.attempt === 2,
      )
      const times = Map.groupBy(await performed(), (step) => step)
      const again = [...times].filter(([, lines]) => lines.length > 1).map(([step]) => step)
      check(
        `${STEPS - again.length} of ${STEPS} steps were performed once; again, since the kill met it: ${again.join(', ') || 'none'}`,
        times.size === STEPS && again.every((step) => step === killed),
      )

      const other = await begin('second')
      for await (const { type, data } of eventsOf(new URL(other, server.url), { signal })) {
        if (type === 'progress') check('another run is asked to cancel', (await post(`${other}/cancel`, {})).ok)
        if (type !== 'done') continue
        const { state, progress } = data as RunBody
        check(`it ended as ${state} at ${Math.round((progress?.fraction ?? 0) * 100)} %`, state === 'canceled')
        break
      }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
})

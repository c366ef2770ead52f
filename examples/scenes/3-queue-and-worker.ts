// Scene 3: a queue and its worker. What a handler adds is performed behind it, one after another, plain functions and async ones alike, and one
// that fails stops nothing. In memory, a kill -9 takes what is under way and what waits; with one more word, `durable`, it takes nothing.
//   npm run example queue-and-worker
import { appendFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createOffstage, task } from 'offstage'
import { toNode } from 'offstage/node'
import { scene } from './support/scene.ts'

const folder = process.env['FOLDER'] ?? (await mkdtemp(join(tmpdir(), 'offstage-scene-')))
const journal = join(folder, 'journal.log')
const write = (line: string): void => appendFileSync(journal, `${line}\n`) // how the scene sees what was performed

const mail = async (to: string): Promise<void> => {
  await sleep(300)
  write(`mail to ${to}`)
}
const count = (): void => {
  const until = performance.now() + 100
  while (performance.now() < until); // a plain function, that works
  write('count')
}
const report = (attempt: number): void => {
  if (attempt === 1) throw new Error('no report at the first try')
  write('report')
}

const retry = { attempts: 3, initial: '100ms' } as const
const tasks = {
  mail: task({ name: 'mail', run: mail }),
  count: task({ name: 'count', run: count }),
  report: task({ name: 'report', retry, run: (_: void, ctx) => report(ctx.attempt) }),
}
const durableTasks = {
  mail: task({ name: 'durable-mail', durable: true, run: mail }),
  count: task({ name: 'durable-count', durable: true, run: count }),
  report: task({ name: 'durable-report', durable: true, retry, run: (_: void, ctx) => report(ctx.attempt) }),
}

await scene(import.meta.url, {
  env: { FOLDER: folder },

  async serve() {
    const offstage = createOffstage({
      tasks: [...Object.values(tasks), ...Object.values(durableTasks)],
      store: `sqlite:${join(folder, 'runs.db')}`,
      memory: { concurrency: 1 },
      worker: { concurrency: 1 },
    })
    await offstage.ready
    return toNode(async (request) => {
      const added = new URL(request.url).pathname === '/durable' ? durableTasks : tasks
      // Added in this order, performed in this order; what becomes of the first does not matter to the others.
      await offstage.start(added.report)
      await offstage.start(added.mail, 'ann@example.org')
      await offstage.start(added.count)
      return new Response(null, { status: 202 })
    })
  },

  async play(server, check) {
    const performed = async (): Promise<string[]> =>
      (await readFile(journal, 'utf8').catch(() => '')).split('\n').filter(Boolean)
    const ended = async (ms: number): Promise<string[]> => {
      for (let left = ms; left > 0 && new Set(await performed()).size < 3; left -= 50) await sleep(50)
      return performed()
    }
    const add = async (path: string): Promise<void> => {
      const { status } = await fetch(new URL(path, server.url), { method: 'POST' })
      check(`POST ${path} answered ${status} before anything was performed`, status === 202)
    }
    const begins = async (path: string): Promise<void> => {
      await rm(journal, { force: true })
      await add(path)
    }
    const kill = async (): Promise<string[]> => {
      const before = await performed()
      await server.kill()
      await server.startAgain()
      return before
    }
    try {
      for (const path of ['/memory', '/durable']) {
        await begins(path)
        const all = await ended(10_000)
        check(`${path}: the one that failed stopped nothing: ${all.toSorted().join(', ')}`, all.length === 3)
      }

      await begins('/memory')
      const early = await kill()
      const late = await ended(1_000)
      check(`/memory: kill -9, and ${late.length} of 3 were performed`, late.length < 3 && late.length === early.length)

      await begins('/durable')
      await kill()
      const survived = new Set(await ended(20_000))
      check(`/durable: kill -9, and ${survived.size} of 3 were performed`, survived.size === 3)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
})

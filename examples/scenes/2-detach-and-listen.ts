// Scene 2: detach and listen. A task that was started belongs to no request any more: its failure does not reach one, its context knows none,
// and none is kept in memory by it. But somebody listens: each failure is reported once, with the task's name.
//   npm run example detach-and-listen
import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { createOffstage, task, type Logger } from 'offstage'
import { toNode } from 'offstage/node'
import { scene } from './support/scene.ts'

const PENDING = 10_000
const requests = new AsyncLocalStorage<Request>()
const over = Promise.withResolvers<void>()

const failing = [
  task({
    name: 'throws-at-once',
    run: () => {
      throw new Error('at once')
    },
  }),
  task({
    name: 'throws-after-10-ms',
    run: async () => {
      await sleep(10)
      throw new Error('after 10 ms')
    },
  }),
  task({
    name: 'throws-from-a-timer',
    run: () => {
      setTimeout(() => {
        throw new Error('from a timer')
      }, 10)
    },
  }),
  task({
    name: 'rejects-where-nobody-waits',
    run: () => {
      void Promise.reject(new Error('where nobody waits'))
    },
  }),
]
const curious = task({
  name: 'curious',
  run: async (_: void, { log }) => {
    await sleep(1)
    log.info({}, requests.getStore() === undefined ? 'no request' : 'a request')
  },
})
const pending = task({ name: 'pending', run: () => over.promise })

await scene(import.meta.url, {
  flags: ['--expose-gc'],

  serve() {
    const told: { level: string; task: unknown; text: string }[] = []
    const line = (level: string) => (fields: { task?: unknown; err?: unknown }, message?: string) =>
      void told.push({ level, task: fields.task, text: `${message} ${String(fields.err ?? '')}` })
    const logger = { debug: () => {}, info: line('info'), warn: line('warn'), error: line('error') } satisfies Logger
    const offstage = createOffstage({ logger })
    const seen: WeakRef<Request>[] = []

    return toNode(async (request) => {
      const { pathname } = new URL(request.url)
      if (pathname === '/told') return Response.json(told)
      if (pathname === '/memory') return Response.json(await memory(seen))
      if (pathname === '/over') over.resolve()
      const task = [...failing, curious, pending].find(({ name }) => pathname === `/${name}`)
      if (task !== undefined) {
        seen.push(new WeakRef(request))
        await requests.run(request, () => offstage.start(task))
      }
      return new Response(null, { status: 204 })
    })
  },

  async play({ url }, check) {
    const get = (path: string): Promise<Response> => fetch(new URL(path, url))
    const told = async (): Promise<{ level: string; task: string; text: string }[]> =>
      (await (await get('/told')).json()) as never

    for (const { name } of failing) {
      const { status } = await get(name)
      check(`${name}: answered ${status}`, status === 204)
      while (!(await told()).some(({ task: of }) => of === name));
    }
    await get('curious')
    let context: string | undefined
    while (context === undefined) context = (await told()).find(({ task: of }) => of === 'curious')?.text
    check(`within a task, the caller's async context holds ${context}`, context.startsWith('no request'))

    const before = (await (await get('/memory')).json()) as Memory
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        for (let n = 0; n < PENDING / 20; n++) await (await get('pending')).text()
      }),
    )
    const after = (await (await get('/memory')).json()) as Memory
    const each = Math.round((after.heap - before.heap) / PENDING)
    check(
      `${after.requests - before.requests} requests started a task each that is pending; of all requests ${after.alive} are still in memory, and a pending task takes ${each} bytes`,
      after.alive === 0,
    )
    await get('over')

    const reports = await told() // by now a second one would be there
    for (const { name } of failing) {
      const own = reports.filter(({ task: of }) => of === name)
      check(
        `${name}: the process lives, and told it ${own.length === 1 ? 'once' : `${own.length} times`}: ${own[0]?.text}`,
        own.length === 1,
      )
    }
  },
})

interface Memory {
  readonly requests: number
  readonly alive: number
  readonly heap: number
}

async function memory(seen: readonly WeakRef<Request>[]): Promise<Memory> {
  for (let n = 0; n < 3; n++) {
    await sleep(20) // a WeakRef holds its target to the end of the turn in which it was made or read
    globalThis.gc?.()
  }
  return {
    requests: seen.length,
    alive: seen.filter((request) => request.deref() !== undefined).length,
    heap: process.memoryUsage().heapUsed,
  }
}

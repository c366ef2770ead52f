import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { toFailure } from '../core/failure.ts'
import { Asker } from '../runtime/port.ts'
import { importTasks, type Registry } from '../runtime/registry.ts'
import { watchStrayFailures } from '../runtime/stray-failures.ts'
import { realClock } from '../runtime/world.ts'
import type { Asks, FromThread, ThreadData, ToThread } from './protocol.ts'
import { ThreadAttempt, type Inside } from './thread-attempt.ts'

/** The other side of `thread.ts`: loads the tasks module once, then runs one attempt at a time. */
async function serve(port: MessagePort, { module, limits, begun }: ThreadData): Promise<void> {
  const say = (message: FromThread): void => port.postMessage(message)
  watchStrayFailures()
  const tasks = await load(module, say)
  // Made when something is first asked: a second listener would hear every message.
  let asker: Asker<Asks> | undefined
  const inside: Inside = {
    say,
    ask: (kind, body) => (asker ??= new Asker<Asks>(port)).ask(kind, body),
    tasks,
    limits,
    clock: realClock,
  }
  let attempt: ThreadAttempt | undefined
  port.on('messageerror', (error) => say({ kind: 'unreadable', failure: toFailure(error) }))
  port.on('message', (message: ToThread | object) => {
    if (!('kind' in message)) return
    if (message.kind === 'abort') return attempt?.abort(message)
    Atomics.store(begun, 0, message.call)
    attempt = new ThreadAttempt(message, inside)
    void attempt.run() // it never rejects: how it ended is said
  })
  say({ kind: 'loaded' })
}

async function load(module: string, say: (message: FromThread) => void): Promise<Registry> {
  try {
    return await importTasks(module)
  } catch (error) {
    say({ kind: 'broken', failure: toFailure(error) })
    // What the module began before it threw must not keep a thread that is of no use.
    return process.exit(1)
  }
}

if (parentPort !== null) void serve(parentPort, workerData as ThreadData) // thread.ts gave the data; should it reject, the thread ends

import { onTestFinished } from 'vitest'
import type { Claim } from '../../src/core/claim.ts'
import type { Clock } from '../../src/core/clock.ts'
import type { OwnTransaction, TaskContext } from '../../src/core/task.ts'
import type { Call, Journal } from '../../src/runtime/executor.ts'
import { importTasks, type Registry } from '../../src/runtime/registry.ts'
import { realClock } from '../../src/runtime/world.ts'
import { threadExecutor } from '../../src/threads/executor.ts'

export const limits = { input: 100_000, result: 1_000, depth: 16 }
const fixture = (name: string) => new URL(`./fixtures/${name}.ts`, import.meta.url).href

export type Said = readonly ['progress' | 'output' | 'log', unknown]
export interface Asked {
  readonly input?: unknown
  readonly signal?: AbortSignal
  readonly journal?: Journal
  readonly start?: TaskContext['start']
  readonly tx?: OwnTransaction
  readonly hear?: (said: Said) => void
}

/** An executor of threads that is closed after the test, and what its callers see of it. */
export async function stage(
  options: { readonly size?: number; readonly module?: string; readonly clock?: Clock } = {},
) {
  const strays: { readonly claim: Claim; readonly task: string; readonly error: unknown }[] = []
  const tasks = await importTasks(fixture('tasks'))
  const executor = threadExecutor({
    size: options.size ?? 1,
    module: fixture(options.module ?? 'tasks'),
    limits,
    clock: options.clock ?? realClock,
    taskOf: tasks.task,
    stray: (claim, task, error) => void strays.push({ claim, task, error }),
  })
  onTestFinished(() => executor.close())
  let runs = 0
  const run = (name: string, asked: Asked = {}) => executor.run(callOf(tasks, name, { ...asked, run: `run-${++runs}` }))
  return { executor, strays, run, tasks }
}

function callOf(tasks: Registry, name: string, asked: Asked & { readonly run: string }): Call {
  const { input, signal = new AbortController().signal, journal, tx, start = noStart, hear = () => {} } = asked
  const log = (level: string) => (fields: object, message?: string) => hear(['log', { level, message, ...fields }])
  return {
    claim: { run: asked.run, attempt: 7 },
    task: tasks.get(name)!,
    input,
    ...(journal === undefined ? {} : { journal }),
    context: {
      id: asked.run,
      attempt: 7,
      signal,
      log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
      progress: (progress) => hear(['progress', progress]),
      emit: (data) => hear(['output', data]),
      start,
      ...(tx === undefined ? {} : { tx }),
    },
  }
}

const noStart: TaskContext['start'] = async () => {
  throw new Error('this call starts nothing')
}

/** Settles when the code has said so: tests wait for what happens, not for time. */
export function begun(): { readonly hear: (said: Said) => void; readonly said: Said[]; readonly begun: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const said: Said[] = []
  const hear = (what: Said): void => {
    said.push(what)
    resolve()
  }
  return { hear, said, begun: promise }
}

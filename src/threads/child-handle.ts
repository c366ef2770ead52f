import { RunFailedError } from '../core/errors.ts'
import { isObject, notBuilt } from '../core/options.ts'
import type { Run } from '../core/run.ts'
import type { Started } from '../core/runs.ts'
import type { RunHandle } from '../core/start.ts'
import type { Ask } from './protocol.ts'

export interface ChildParts {
  readonly ask: Ask
  readonly call: number
  readonly task: string
  readonly started: Started
}

/** A child run as its parent on a thread holds it: every question is a message. */
export function childHandle<O>({ ask, call, task, started: { id, disposition } }: ChildParts): RunHandle<O> {
  const child = { call, child: id }
  return Object.freeze({
    id,
    task,
    disposition,
    status: async () => (await ask('status', child)) as Run<O>,
    result: async ({ timeout, signal }: Parameters<RunHandle<O>['result']>[0] = {}) => {
      signal?.throwIfAborted()
      try {
        return (await orAborted(ask('result', { ...child, timeout }), signal)) as O
      } catch (error) {
        throw isObject(error) && error['code'] === 'OFFSTAGE_RUN_FAILED'
          ? new RunFailedError(id, task, error['cause'])
          : error
      }
    },
    cancel: (reason?: string) => ask('cancel', { ...child, reason }),
    events: () => notBuilt('events() of a run that was started on a thread'),
  })
}

/** Stops waiting when the signal fires; the other side waits on until the attempt ends. */
async function orAborted<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return answer
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([answer, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

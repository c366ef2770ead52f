import type { Clock } from '../core/clock.ts'
import { milliseconds } from '../core/duration.ts'
import { OffstageError, RunFailedError, TimeoutError } from '../core/errors.ts'
import { optional, whole } from '../core/options.ts'
import type { Run } from '../core/run.ts'
import type { RunEvent } from '../core/run-events.ts'
import type { RunEnd, Runs, Started } from '../core/runs.ts'
import type { RunHandle } from '../core/start.ts'
import { timeoutIn } from './timers.ts'

export interface HandleParts {
  readonly runs: Runs
  readonly clock: Clock
  readonly task: string
  readonly started: Started
  /** Around a wait for the result: a parent's place is free while it waits. */
  readonly lend: <T>(wait: () => Promise<T>) => Promise<T>
}

/** A number read from a header that was not there is NaN, and would skip every event. */
const position = optional(whole(0), undefined)

/** A handle over whatever keeps the run. O is the starter's word: the task's type says what its runs come to. */
export function createHandle<O>(parts: HandleParts): RunHandle<O> {
  const { runs, task, started, lend } = parts
  const { id, disposition } = started
  const status = async (): Promise<Run<O>> => ((await runs.get(id)) ?? notFound(id)).run as Run<O>
  return Object.freeze({
    id,
    task,
    disposition,
    status,
    result: async (options?: { timeout?: number | string; signal?: AbortSignal }) =>
      resultOf(await lend(() => ended(parts, options)), id, task) as O,
    cancel: async (reason?: string) => (await runs.cancel(id, reason)) ?? notFound(id),
    events: (options: { after?: number; signal?: AbortSignal } = {}) => {
      position(options.after, 'events.after')
      return runs.watch(id, options) as AsyncIterable<RunEvent<O>>
    },
  })
}

async function ended(
  { runs, started: { id }, clock }: HandleParts,
  options: { timeout?: number | string; signal?: AbortSignal } = {},
): Promise<RunEnd> {
  const ms = options.timeout === undefined ? undefined : milliseconds(options.timeout, 'result.timeout')
  const late = new AbortController()
  using _limit =
    ms === undefined
      ? undefined
      : timeoutIn(clock, ms, () => late.abort(new TimeoutError(`result() waited ${ms} ms. The run ${id} goes on.`)))
  const signals = [
    ...(options.signal === undefined ? [] : [options.signal]),
    ...(ms === undefined ? [] : [late.signal]),
  ]
  return (await runs.ended(id, signals.length === 0 ? undefined : AbortSignal.any(signals))) ?? notFound(id)
}

function resultOf(end: RunEnd, id: string, task: string): unknown {
  if (end.state === 'succeeded') return end.result
  throw end.state === 'failed' ? new RunFailedError(id, task, end.error) : end.error
}

export function notFound(id: string): never {
  throw new OffstageError(
    'OFFSTAGE_RUN_NOT_FOUND',
    `No run has the id "${id}" here. Ended runs are kept for a while only, and runs in memory live in the process that started them.`,
  )
}

import { fromFailure } from '../core/failure.ts'
import { decode } from '../core/payload.ts'
import type { Run } from '../core/run.ts'
import { isDone } from '../core/run-state.ts'
import type { RunEnd } from '../core/runs.ts'
import type { RunRecord } from '../stores/store.ts'

const DAY = 86_400_000
/** How long ended runs are kept at least: long enough to look at a failure after a holiday. */
const KEPT = { waiting: 0, running: 0, succeeded: DAY, failed: 14 * DAY, canceled: 14 * DAY }

/** A store's record as the run that people read. */
export function runOf(record: RunRecord): Run {
  const { finishedAt, startedAt, result, error } = record
  return {
    id: record.id,
    task: record.task,
    version: record.version,
    durable: true,
    thread: record.thread,
    state: record.state,
    done: isDone(record.state),
    attempt: record.attempt,
    tries: record.tries,
    maxAttempts: record.maxAttempts,
    reason: record.reason,
    queue: record.queue,
    priority: record.priority,
    createdAt: new Date(record.createdAt),
    dueAt: new Date(record.dueAt),
    startedAt: startedAt === null ? null : new Date(startedAt),
    finishedAt: finishedAt === null ? null : new Date(finishedAt),
    expiresAt: finishedAt === null ? null : new Date(finishedAt + KEPT[record.state]),
    waitingFor: null,
    progress: record.progress,
    ...(result === null ? {} : { result: decode(result) }),
    ...(error === null ? {} : { error }),
    cancelRequested: record.cancelRequested,
    owner: record.owner,
    tags: record.tags,
    instance: record.instance,
    parent: record.parent,
    schedule: null,
  }
}

/** How the run ended; undefined: it has not. */
export function endOf(record: RunRecord): RunEnd | undefined {
  const { state, reason, error } = record
  const thrown = error === null ? undefined : fromFailure(error)
  if (state === 'succeeded') return { state, result: decode(record.result) }
  if (state === 'failed') return { state, reason: reason ?? 'error', error: thrown }
  return state === 'canceled' ? { state, error: thrown } : undefined
}

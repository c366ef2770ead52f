import type { InstanceId } from '../core/claim.ts'
import { fromFailure } from '../core/failure.ts'
import { isObject } from '../core/options.ts'
import { decode } from '../core/payload.ts'
import type { AttemptDetails, LoggedLine, Run, RunDetails } from '../core/run.ts'
import { isDone } from '../core/run-state.ts'
import type { RunEnd } from '../core/runs.ts'
import type { TaskPolicy } from '../core/task.ts'
import { safely } from '../core/thrown.ts'
import { RESERVED } from '../core/waiting.ts'
import { maskOf, NOTHING_SHOWN, type Mask } from '../runtime/mask.ts'
import type {
  AttemptRecord,
  ClaimedRun,
  DetailsRecord,
  LogRecord,
  NewRun,
  Retention,
  RunRecord,
} from '../stores/store.ts'

/** The record of a run that was claimed in the commit that inserted it, without asking for it. */
export const bornRunning = (run: NewRun, at: number, instance: InstanceId): ClaimedRun => ({
  ...run,
  state: 'running',
  attempt: 1,
  tries: 1,
  crashes: 0,
  reason: null,
  createdAt: at,
  dueAt: run.at ?? at,
  waitingFor: null,
  startedAt: at,
  finishedAt: null,
  progress: null,
  result: null,
  error: null,
  cancelRequested: false,
  instance,
  number: 2,
  trimmed: 0,
})

/** A store's record as the run that people read. */
export function runOf(record: RunRecord, retention: Retention): Run {
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
    expiresAt: expiryOf(record, retention),
    waitingFor: record.waitingFor,
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

function expiryOf({ state, finishedAt }: RunRecord, retention: Retention): Date | null {
  if (finishedAt === null || state === 'waiting' || state === 'running') return null
  return new Date(finishedAt + retention[state])
}

/** How the run ended; undefined: it has not. */
export function endOf(record: RunRecord): RunEnd | undefined {
  const { state, reason, error } = record
  const thrown = error === null ? undefined : fromFailure(error)
  if (state === 'succeeded') return { state, result: decode(record.result) }
  if (state === 'failed') return { state, reason: reason ?? 'error', error: thrown }
  return state === 'canceled' ? { state, error: thrown } : undefined
}

/** All that is kept of a run. `task`: as it is registered here; without it nobody knows what must be hidden, and no payload is shown. */
export function detailsOf(found: DetailsRecord, retention: Retention, task: TaskPolicy | undefined): RunDetails {
  const run = runOf(found.record, retention)
  const input = decode(found.input)
  const steps = found.steps
    .filter(({ name }) => !name.startsWith(RESERVED))
    .map(({ name, result }) => ({ name, result: decode(result) }))
  const mask =
    task === undefined ? NOTHING_SHOWN : maskOf(task.redact, input, run.result, ...steps.map(({ result }) => result))
  const logs = Map.groupBy(found.logs, ({ attempt }) => attempt)
  return {
    run: mask.run(run),
    input: mask.value(input),
    attempts: attemptsOf(found).map((attempt) => attemptOf(attempt, logs.get(attempt.attempt) ?? [], mask)),
    steps: steps.map(({ name, result }) => ({ name, result: mask.value(result) })),
  }
}

type Attempted = Omit<AttemptRecord, 'came' | 'instance' | 'endedAt'> & {
  readonly came: AttemptDetails['came']
  readonly instance: AttemptRecord['instance'] | null
  readonly endedAt: number | null
}

/** The past ones, and the one that the run's own row tells of: under way, or its end the run's. */
function attemptsOf({ record, attempts }: DetailsRecord): readonly Attempted[] {
  const { attempt, state, startedAt, finishedAt, error, instance } = record
  const isTold = attempts.at(-1)?.attempt === attempt
  if (attempt === 0 || startedAt === null || state === 'waiting' || isTold) return attempts
  const isEnded = state !== 'running'
  return [
    ...attempts,
    { attempt, came: state, instance, startedAt, endedAt: finishedAt, error: isEnded ? error : null },
  ]
}

function attemptOf(
  { attempt, came, instance, startedAt, endedAt, error }: Attempted,
  logs: readonly LogRecord[],
  mask: Mask,
): AttemptDetails {
  return {
    attempt,
    came,
    instance,
    startedAt: new Date(startedAt),
    endedAt: endedAt === null ? null : new Date(endedAt),
    ...(error === null ? {} : { error: mask.failure(error) }),
    logs: logs.map((line) => lineOf(line, mask)),
  }
}

function lineOf({ at, level, message, fields }: LogRecord, mask: Mask): LoggedLine {
  // What was cut to size is no JSON any more.
  const parsed = safely<unknown>(() => JSON.parse(fields)) ?? { cut: fields }
  const shown = mask.value(parsed)
  return { at: new Date(at), level, message: mask.text(message), fields: isObject(shown) ? shown : {} }
}

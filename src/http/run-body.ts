import type { ErrorCode } from '../core/errors.ts'
import type { Run, RunError } from '../core/run.ts'
import type { ErrorBody, Links, RunBody } from './contract.ts'

/** Bytes of JSON; a larger result is left out. */
const INLINE = 65_536

/** Codes that say how a run ended: they are told with their words, whatever `expose` says. */
const TOLD: readonly ErrorCode[] = ['OFFSTAGE_TIMEOUT', 'OFFSTAGE_CRASHED', 'OFFSTAGE_POISONED']
const UNTOLD: ErrorBody = { name: 'Error', message: 'The task failed.', code: 'OFFSTAGE_RUN_FAILED' }

/** A run as JSON: a list of what is told, so that no later field of a run gets out by itself. */
export function runBody(run: Run, payload: boolean, links: Links): RunBody {
  return {
    id: run.id,
    task: run.task,
    version: run.version,
    durable: run.durable,
    thread: run.thread,
    state: run.state,
    done: run.done,
    attempt: run.attempt,
    tries: run.tries,
    maxAttempts: run.maxAttempts,
    reason: run.reason,
    queue: run.queue,
    priority: run.priority,
    createdAt: dateText(run.createdAt),
    dueAt: dateText(run.dueAt),
    startedAt: text(run.startedAt),
    finishedAt: text(run.finishedAt),
    expiresAt: text(run.expiresAt),
    waitingFor: run.waitingFor,
    progress: run.progress,
    ...(payload && isInlined(run.result) ? { result: run.result } : {}),
    ...(run.error === undefined || run.reason === 'canceled' ? {} : { error: errorBody(run.error) }),
    cancelRequested: run.cancelRequested,
    owner: run.owner,
    tags: run.tags,
    instance: run.instance,
    parent: run.parent,
    schedule: run.schedule,
    links,
  }
}

/** A run in memory may emit and return what JSON cannot say; undefined then. */
export function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value) // undefined for undefined, a function, a symbol
  } catch {
    return undefined
  }
}

/** Seconds after which a look is worth while: a tenth of the run's age, or when a delayed run is due. */
export function retryAfter(run: Run, now: number): string {
  const delay = run.attempt === 0 ? run.dueAt.getTime() - now : 0
  if (delay > 0) return String(Math.min(300, Math.ceil(delay / 1_000)))
  return String(Math.min(30, Math.max(1, Math.ceil((now - run.createdAt.getTime()) / 10_000))))
}

function isInlined(result: unknown): boolean {
  const json = jsonText(result)
  return json !== undefined && Buffer.byteLength(json) <= INLINE
}

function errorBody({ name, message, code, expose }: RunError): ErrorBody {
  if (expose !== true && !TOLD.some((told) => told === code)) return UNTOLD
  return { name, message, ...(code === undefined ? {} : { code }) }
}

/** A year has four digits in RFC 3339; a run that waits for a signal without a bound is due far beyond. */
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

const dateText = (date: Date): string => new Date(Math.min(date.getTime(), LAST)).toISOString()

const text = (date: Date | null): string | null => date && dateText(date)

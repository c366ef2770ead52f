import type { InstanceRecord } from '../../core/liveness.ts'
import { isObject } from '../../core/options.ts'
import type { LogLine, Reason, RunError } from '../../core/run.ts'
import type { StoredEvent } from '../../core/run-events.ts'
import { STATES, type State } from '../../core/run-state.ts'
import { STAGES } from './sql/schema.ts'
import type { AttemptRecord, LogRecord, Performing, RunRecord, Version } from '../store.ts'

/** A row as an array: it crosses to the other thread without the names of its columns. */
export type Row = readonly (string | number | null)[]

/** What a transition has set aside is told as damaged, whatever its row says. */
const ASIDE = 'aside'
export const STATE: string = `iif(stage is ${STAGES.aside}, '${ASIDE}', state)`

/** Of a run, in the order in which `runOf` reads them. */
export const COLUMNS: string = `id, task, version, thread, queue, priority, max_attempts, timeout, on_crash, owner, tags, parent,
  created_at, due_at, ${STATE}, attempt, tries, crashes, number, trimmed, instance, started_at, finished_at,
  cancel_at is not null, reason, progress, error, result, waiting_for`
/** Of a run that was claimed its input comes behind them. */
export const INPUT = 29

type RunRow = readonly [
  id: string,
  task: string,
  version: number,
  thread: number,
  queue: string,
  priority: number,
  maxAttempts: number,
  timeout: number | null,
  onCrash: 'retry' | 'fail',
  owner: string | null,
  tags: string,
  parent: string | null,
  createdAt: number,
  dueAt: number,
  state: State,
  attempt: number,
  tries: number,
  crashes: number,
  number: number,
  trimmed: number,
  instance: string | null,
  startedAt: number | null,
  finishedAt: number | null,
  cancelRequested: number,
  reason: Reason | null,
  progress: string | null,
  error: string | null,
  result: string | null,
  waitingFor: string | null,
]

/** Always answers: a row that was damaged by hand says so itself, and those beside it are read as well. */
export function runOf(row: Row): RunRecord {
  const run = row as unknown as RunRow // the schema is strict, and COLUMNS says which are there
  const record: RunRecord = {
    id: run[0],
    task: run[1],
    version: run[2],
    thread: run[3] === 1,
    queue: run[4],
    priority: run[5],
    maxAttempts: run[6],
    timeout: run[7],
    onCrash: run[8],
    owner: run[9],
    tags: run[10] === '[]' ? [] : tagsOf(run[10]),
    parent: run[11],
    createdAt: run[12],
    dueAt: run[13],
    state: run[14],
    attempt: run[15],
    tries: run[16],
    crashes: run[17],
    number: run[18],
    trimmed: run[19],
    instance: run[20],
    startedAt: run[21],
    finishedAt: run[22],
    cancelRequested: run[23] === 1,
    reason: run[24],
    progress: run[25] === null ? null : objectOf(run[25]),
    error: run[26] === null ? null : errorOf(run[26]),
    result: run[27],
    waitingFor: run[28],
  }
  return isState(record.state) ? record : damaged(record)
}

export const isState = (state: unknown): state is State => STATES.includes(state as State) // to ask whether it is one

/** Nothing goes on from a state that there is not; but it can be removed, as what has failed. */
const damaged = (record: RunRecord): RunRecord => ({
  ...record,
  state: 'failed',
  reason: 'error',
  finishedAt: record.finishedAt ?? record.createdAt,
  error: corrupt(String(record.state) === ASIDE ? 'nobody can go on with it' : `its state is "${record.state}"`),
})

const corrupt = (what: string): RunError => ({
  name: 'OffstageError',
  code: 'OFFSTAGE_STORE_CORRUPT',
  message: `The run's row in the store was damaged: ${what}.`,
})

const errorOf = (text: string): RunError =>
  (objectOf(text) as RunError | null) ?? corrupt('the error that was kept is no JSON') // written by write.ts

function tagsOf(text: string): readonly string[] {
  const tags = parsed(text)
  return Array.isArray(tags) ? tags.map(String) : []
}

function objectOf(text: string): object | null {
  const value = parsed(text)
  return isObject(value) ? value : null
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

export function eventOf(row: Row): StoredEvent {
  const [number, type, data] = row as readonly [number, StoredEvent['type'], string] // the schema is strict
  const event = type === 'progress' ? { type, data: objectOf(data) ?? {} } : { type, data: parsed(data) }
  return { number, ...event } as StoredEvent // an output is what was JSON when it was written
}

export function attemptOf(row: Row): AttemptRecord {
  const [attempt, came, instance, startedAt, endedAt, error] = row as readonly [
    number,
    AttemptRecord['came'],
    string | null,
    number,
    number,
    string | null,
  ] // the schema is strict
  return { attempt, came, instance, startedAt, endedAt, error: error === null ? null : errorOf(error) }
}

export function logOf(row: Row): LogRecord {
  const [attempt, text] = row as readonly [number, string] // the schema is strict
  const line = objectOf(text) ?? { at: 0, level: 'error', message: 'This line was damaged in the store.', fields: '{}' }
  return { attempt, ...(line as LogLine) } // written by history.ts
}

export function instanceOf(row: Row): InstanceRecord {
  const [id, pid, boot, began, pidNamespace] = row as readonly [string, number, string, string, string] // the schema is strict
  return { id, pid, boot, began, pidNamespace }
}

/** What an instance registered. */
export function canOf([text]: Row): readonly Version[] {
  const can = parsed(String(text))
  return Array.isArray(can) ? (can as readonly Version[]) : [] // written by write.ts
}

export function performingOf(row: Row): Performing {
  const [run, attempt, asked] = row as readonly [string, number, number] // the schema is strict
  return { claim: { run, attempt }, cancelRequested: asked === 1 }
}

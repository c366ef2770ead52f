import type { InstanceRecord } from '../../core/liveness.ts'
import type { ProgressRecord, Reason, RunError } from '../../core/run.ts'
import type { StoredEvent } from '../../core/run-events.ts'
import type { State } from '../../core/run-state.ts'
import type { Performing, RunRecord } from '../store.ts'

/** A row as an array: it crosses to the other thread without the names of its columns. */
export type Row = readonly (string | number | null)[]

/** Of a run, in the order in which `runOf` reads them. */
export const COLUMNS: string = `id, task, version, thread, queue, priority, max_attempts, timeout, on_crash, owner, tags, parent,
  created_at, due_at, state, attempt, tries, crashes, number, trimmed, instance, started_at, finished_at,
  cancel_at is not null, reason, progress, error, result`
/** Of a run that may be claimed: beside the run its input, and its place among the others. */
export const CANDIDATE_COLUMNS: string = `${COLUMNS}, input, seq, rank`
export const DUE_AT = 13
export const INPUT = 28
export const SEQ = 29
export const RANK = 30

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
]

export function runOf(row: Row): RunRecord {
  const run = row as unknown as RunRow // the schema is strict, and COLUMNS says which are there
  return {
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
    tags: run[10] === '[]' ? [] : (JSON.parse(run[10]) as readonly string[]), // written by write.ts
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
    progress: run[25] === null ? null : (JSON.parse(run[25]) as ProgressRecord), // written by write.ts
    error: run[26] === null ? null : (JSON.parse(run[26]) as RunError), // written by write.ts
    result: run[27],
  }
}

export function eventOf(row: Row): StoredEvent {
  const [number, type, data] = row as readonly [number, StoredEvent['type'], string] // the schema is strict
  return { number, type, data: JSON.parse(data) } // the type says which data it has
}

export function instanceOf(row: Row): InstanceRecord {
  const [id, pid, boot, began, pidNamespace] = row as readonly [string, number, string, string, string] // the schema is strict
  return { id, pid, boot, began, pidNamespace }
}

export function performingOf(row: Row): Performing {
  const [run, attempt, asked] = row as readonly [string, number, number] // the schema is strict
  return { claim: { run, attempt }, cancelRequested: asked === 1 }
}

import type { Claim, InstanceId, RunId } from '../../core/claim.ts'
import type { Moment } from '../../core/clock.ts'
import type { Json } from '../../core/json.ts'
import type { InstanceRecord } from '../../core/liveness.ts'
import { FORCED_CANCEL_AFTER } from '../../core/rescue.ts'
import { KEPT_ATTEMPTS, KEPT_EVENTS, KEPT_LOGS, type StoredEvent } from '../../core/run-events.ts'
import type * as seam from '../store.ts'
import type { RunRecord, StepRecord } from '../store.ts'

/** Of one run. Its records are replaced, never altered. */
export interface Kept {
  run: RunRecord
  readonly input: string | null
  /** null: the run has none, or lost it to a later one. */
  idempotency: seam.Idempotency | null
  cancel: { readonly at: number; readonly reason: string | null } | null
  /** While it is performed. */
  held: { readonly instance: InstanceId; readonly startedAt: number; readonly deadline: number | null } | null
  events: readonly StoredEvent[]
  attempts: readonly seam.AttemptRecord[]
  logs: readonly seam.LogRecord[]
  readonly steps: Map<string, StepRecord>
}

interface KeptInstance {
  readonly record: InstanceRecord
  readonly can: readonly seam.Version[]
  readonly dead: boolean
}

/** All that is kept, and how it is looked up. */
export class Keeping {
  /** In the order in which they were inserted. */
  readonly runs: Map<RunId, Kept> = new Map()
  readonly instances: Map<InstanceId, KeptInstance> = new Map()

  /** The guard of every write made for an attempt. */
  current(claim: Claim): Kept | undefined {
    const kept = this.runs.get(claim.run)
    return kept?.run.state === 'running' && kept.run.attempt === claim.attempt ? kept : undefined
  }

  isAlive(instance: InstanceId | null): boolean {
    return instance !== null && this.instances.get(instance)?.dead === false
  }

  /** By due time, then age. */
  inState(state: 'waiting' | 'running'): readonly Kept[] {
    const kept = [...this.runs.values()].filter(({ run }) => run.state === state)
    return kept.sort((a, b) => a.run.dueAt - b.run.dueAt)
  }

  /** What `rescue` takes from running runs, in this order. */
  readonly isOrphan = ({ held }: Kept): boolean => held !== null && !this.isAlive(held.instance)
  readonly isOverdue = ({ held }: Kept, { steady }: Moment): boolean => (held?.deadline ?? steady) < steady
  readonly isCancelOverdue = ({ cancel }: Kept, { steady }: Moment): boolean =>
    cancel !== null && cancel.at <= steady - FORCED_CANCEL_AFTER
}

/** The latest are kept: with an older one go its lines. */
export function addAttempt(kept: Kept, record: Omit<seam.AttemptRecord, 'attempt'>): void {
  const attempts = [...kept.attempts, { attempt: kept.run.attempt, ...record }]
  const gone = attempts.at(-1 - KEPT_ATTEMPTS)?.attempt ?? 0
  kept.attempts = attempts.filter(({ attempt }) => attempt > gone)
  kept.logs = kept.logs.filter(({ attempt }) => attempt > gone)
}

/** Lines take no number: they are not of what can be watched. */
export function addNotes(kept: Kept, notes: readonly seam.Note[]): void {
  const { attempt, number: last } = kept.run
  const lines = notes.flatMap((note) => (note.type === 'log' ? [{ attempt, ...note.data }] : []))
  const own = kept.logs.filter((line) => line.attempt === attempt)
  kept.logs = [...kept.logs.filter((line) => line.attempt !== attempt), ...[...own, ...lines].slice(-KEPT_LOGS)]
  const events = notes.flatMap((note) => (note.type === 'log' ? [] : [note])).map(numberedFrom(last + 1))
  const number = last + events.length
  const progress = notes.findLast((note) => note.type === 'progress')?.data ?? kept.run.progress
  const trimmed = Math.max(0, number - KEPT_EVENTS)
  kept.events = [...kept.events, ...events].filter((event) => event.number > trimmed)
  kept.run = { ...kept.run, number, progress, trimmed }
}

const numberedFrom =
  (first: number) =>
  (note: Exclude<seam.Note, { type: 'log' }>, index: number): StoredEvent =>
    note.type === 'progress'
      ? { number: first + index, ...note }
      : { number: first + index, type: 'output', data: JSON.parse(note.data) as Json } // it was encoded from JSON

/** In bytes, near enough: of ASCII exactly. */
export const sizeOf = ({ steps, ...kept }: Kept): number => JSON.stringify([kept, [...steps.values()]]).length

import type { InstanceId } from '../../core/claim.ts'
import type { Json } from '../../core/json.ts'
import type { Outcome } from '../../core/outcome.ts'
import * as rescue from '../../core/rescue.ts'
import { EVENTS_PAGE, type StoredEvent } from '../../core/run-events.ts'
import { isDone, next, type RunVerb } from '../../core/run-state.ts'
import type * as seam from '../store.ts'
import type { RunRecord, StepRecord } from '../store.ts'

/** Its records are replaced, never altered. */
export interface Kept {
  run: RunRecord
  readonly input: string | null
  cancel: { readonly at: number; readonly reason: string | null } | null
  events: readonly StoredEvent[]
  readonly steps: Map<string, StepRecord>
}

/** Whether an instance that registered these performs the run on a thread; undefined: it does not perform it. */
export function onThread(run: RunRecord, can: readonly seam.Version[]): boolean | undefined {
  const own = can.filter(({ task, version }) => run.task === task && run.version === version)
  return own.some(({ thread }) => thread === run.thread) ? run.thread : own[0]?.thread
}

export function born(asked: seam.NewRun, now: number): RunRecord {
  const { input: _, delay, at, ...run } = asked
  const nothing = {
    reason: null,
    startedAt: null,
    finishedAt: null,
    progress: null,
    result: null,
    error: null,
    instance: null,
  }
  const counts = { attempt: 0, tries: 0, crashes: 0, number: 1, trimmed: 0 }
  return {
    ...run,
    ...nothing,
    ...counts,
    state: 'waiting',
    createdAt: now,
    dueAt: at ?? now + delay,
    cancelRequested: false,
  }
}

export const inserted = (
  disposition: 'created' | 'existing',
  run: RunRecord,
  claimFor: InstanceId | undefined,
): seam.Inserted => ({
  disposition,
  createdAt: run.createdAt,
  dueAt: run.dueAt,
  claimed: run.state === 'running' && run.attempt === 1 && run.instance === claimFor,
})

export function begin(kept: Kept, instance: InstanceId, now: number): RunRecord {
  const { run } = kept
  const counts = { attempt: run.attempt + 1, tries: run.tries + 1, number: run.number + 1 }
  return (kept.run = { ...run, ...counts, state: next(run.state, 'claim'), instance, startedAt: now })
}

type Departure = { readonly verb: RunVerb } & Partial<RunRecord>

export function leave(kept: Kept, { verb, ...changes }: Departure, now: number): RunRecord {
  const { run } = kept
  const state = next(run.state, verb)
  const finishedAt = isDone(state) ? now : null
  return (kept.run = { ...run, ...changes, state, finishedAt, instance: null, number: run.number + 1 })
}

export const canceled = ({ cancel }: Kept): Departure => ({
  verb: 'cancel',
  reason: 'canceled',
  error: rescue.canceledFailure(cancel?.reason ?? null),
})

/** Where cancel was requested, only a success stays what it was. */
export function departure(kept: Kept, outcome: Outcome<string | null>, now: number): Departure {
  if (outcome.kind === 'succeeded') return { verb: 'succeed', crashes: 0, result: outcome.result, error: null }
  if (outcome.kind === 'canceled') return { verb: 'cancel', crashes: 0, reason: 'canceled', error: outcome.error }
  if (kept.cancel) return { ...canceled(kept), crashes: 0 }
  if (outcome.kind === 'failed') return { verb: 'fail', crashes: 0, reason: outcome.reason, error: outcome.error }
  if (outcome.kind === 'retry') return { verb: 'retry', crashes: 0, dueAt: now + outcome.after, error: outcome.error }
  return { verb: 'release', dueAt: now, tries: kept.run.tries - 1 }
}

export function orphaned(kept: Kept, now: number): Departure {
  const crashes = kept.run.crashes + 1
  const { verb, reason } = rescue.fateOf({ ...kept.run, crashes })
  if (verb === 'cancel') return { ...canceled(kept), crashes }
  const error = reason === 'poisoned' ? rescue.poisonedFailure : rescue.crashedFailure
  return { verb, reason, error, crashes, ...(verb === 'rescue' ? { dueAt: now } : {}) }
}

export const storedEvent = (note: seam.Note, number: number): StoredEvent =>
  note.type === 'progress' ? { number, ...note } : { number, type: 'output', data: JSON.parse(note.data) as Json } // it was encoded from JSON

export function eventsOf(kept: Kept | undefined, after: number): seam.Questions['events'][1] {
  if (!kept) return undefined
  const firstOutput = kept.events.find(({ type }) => type === 'output')?.number ?? null
  const events = kept.events.filter(({ number }) => number > after).slice(0, EVENTS_PAGE)
  return { record: kept.run, events, firstOutput }
}

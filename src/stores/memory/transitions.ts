import type { Moment } from '../../core/clock.ts'
import type { InstanceId } from '../../core/claim.ts'
import type { Outcome, Parking } from '../../core/outcome.ts'
import * as rescue from '../../core/rescue.ts'
import { isDone, next, type RunVerb } from '../../core/run-state.ts'
import { isOfWait, FOREVER, MOST_SIGNALS, signalStep } from '../../core/waiting.ts'
import type * as seam from '../store.ts'
import type { RunRecord } from '../store.ts'
import { addAttempt, type Kept } from './kept.ts'

export function born(asked: seam.NewRun, now: number): Kept {
  const { input, delay, at, idempotency, ...run } = asked
  const nothing = {
    reason: null,
    waitingFor: null,
    startedAt: null,
    finishedAt: null,
    progress: null,
    result: null,
    error: null,
    instance: null,
  }
  const counts = { attempt: 0, tries: 0, crashes: 0, number: 1, trimmed: 0 }
  const moments = { createdAt: now, dueAt: at ?? now + delay }
  return {
    run: { ...run, ...nothing, ...counts, ...moments, state: 'waiting', cancelRequested: false },
    input,
    idempotency,
    cancel: null,
    held: null,
    events: [],
    attempts: [],
    logs: [],
    steps: new Map(),
  }
}

export const inserted = (
  disposition: 'created' | 'existing',
  run: RunRecord,
  claimFor: InstanceId | undefined,
): seam.Inserted => ({
  id: run.id,
  disposition,
  createdAt: run.createdAt,
  dueAt: run.dueAt,
  claimed: run.state === 'running' && run.attempt === 1 && run.instance === claimFor,
})

export function begin(kept: Kept, instance: InstanceId, { now, steady }: Moment): RunRecord {
  const { run } = kept
  const counts = { attempt: run.attempt + 1, tries: run.tries + 1, number: run.number + 1 }
  const deadline = run.timeout === null ? null : steady + run.timeout + rescue.DEADLINE_GRACE
  kept.held = { instance, startedAt: now, deadline }
  const state = next(run.state, 'claim')
  return (kept.run = { ...run, ...counts, state, waitingFor: null, instance, startedAt: now })
}

/** `came`: the attempt goes, and the run goes on. */
type Departure = { readonly verb: RunVerb; readonly came?: seam.AttemptRecord['came'] } & Partial<RunRecord>

export function leave(kept: Kept, { verb, came, ...changes }: Departure, now: number): RunRecord {
  const { run } = kept
  const state = next(run.state, verb)
  const { held } = kept
  if (came && held)
    addAttempt(kept, {
      came,
      instance: held.instance,
      startedAt: held.startedAt,
      endedAt: now,
      error: changes.error ?? null,
    })
  kept.held = null
  const finishedAt = isDone(state) ? now : null
  const number = run.number + 1
  return (kept.run = { ...run, waitingFor: null, ...changes, state, finishedAt, instance: null, number })
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
  if (outcome.kind === 'parked') return parked(kept, outcome, now)
  if (outcome.kind === 'retry')
    return { verb: 'retry', came: 'retry', crashes: 0, dueAt: now + outcome.after, error: outcome.error }
  return { verb: 'release', came: 'released', dueAt: now, tries: kept.run.tries - 1 }
}

/** Not a try, and no failure. The moment is remembered once, so that an attempt that comes back sleeps for the rest of the time alone. */
function parked(kept: Kept, { name, after, at, signal }: Parking, now: number): Departure {
  const moment = JSON.stringify(at ?? (after === null ? FOREVER : now + after))
  const { result } = kept.steps.get(name) ?? { result: moment }
  kept.steps.set(name, { name, result })
  const isThere = signal !== null && kept.steps.has(signalStep(signal))
  return {
    verb: 'park',
    came: 'parked',
    crashes: 0,
    tries: kept.run.tries - 1,
    dueAt: isThere ? now : Number(result),
    waitingFor: isThere ? null : (signal?.name ?? null),
  }
}

export function orphaned(kept: Kept, now: number): Departure {
  const crashes = kept.run.crashes + 1
  const { verb, reason } = rescue.fateOf({ ...kept.run, crashes })
  if (verb === 'cancel') return { ...canceled(kept), crashes }
  const error = reason === 'poisoned' ? rescue.poisonedFailure : rescue.crashedFailure
  return { verb, reason, error, crashes, ...(verb === 'rescue' ? { dueAt: now, came: 'rescued' } : {}) }
}

/** Nobody died of it: it is no crash. */
export function overdue(kept: Kept, now: number): Departure {
  const { verb, reason } = rescue.fateAtDeadline(kept.run)
  if (verb === 'cancel') return { ...canceled(kept), crashes: 0 }
  const error = rescue.timedOutFailure
  return { verb, reason, error, crashes: 0, ...(verb === 'retry' ? { dueAt: now, came: 'rescued' } : {}) }
}

export function requestCancel(kept: Kept, reason: string | null, { now, steady }: Moment): void {
  if (kept.cancel) return
  kept.cancel = { at: steady, reason }
  kept.run = { ...kept.run, cancelRequested: true }
  if (kept.run.state === 'waiting') leave(kept, canceled(kept), now)
  else kept.run = { ...kept.run, number: kept.run.number + 1 }
}

export function rerun(kept: Kept, now: number): void {
  for (const step of kept.steps.values()) if (isOfWait(step)) kept.steps.delete(step.name)
  recordEnd(kept)
  kept.cancel = null
  const nothing = { reason: null, error: null, result: null, cancelRequested: false }
  leave(kept, { verb: 'rerun', dueAt: now, tries: 0, crashes: 0, ...nothing }, now)
}

/** What the run's row told of its last attempt. One that was canceled while it waited was not ended by an attempt. */
function recordEnd(kept: Kept): void {
  const { attempt, state, startedAt, finishedAt, error } = kept.run
  if (startedAt === null || finishedAt === null || kept.attempts.at(-1)?.attempt === attempt) return
  const came = state === 'failed' ? 'failed' : 'canceled'
  addAttempt(kept, { came, instance: null, startedAt, endedAt: finishedAt, error })
}

/** The next of its name is recorded; a run that waits for that name is due. */
export function signaled(kept: Kept, { name, payload }: seam.WriteOf<'signal'>, now: number): seam.AnswerOf<'signal'> {
  const before = signalStep({ name, nth: 0 }).slice(0, -1)
  const known = [...kept.steps.keys()]
    .filter((step) => step.startsWith(before))
    .map((step) => step.slice(before.length))
  const nth = 1 + known.filter((rest) => /^\d+$/.test(rest)).reduce((most, rest) => Math.max(most, Number(rest)), 0)
  if (nth > MOST_SIGNALS)
    return { refused: 'OFFSTAGE_OVERLOADED', message: `The run ${kept.run.id} has ${MOST_SIGNALS} signals "${name}".` }
  const step = signalStep({ name, nth })
  kept.steps.set(step, { name: step, result: `[${payload}]` })
  if (kept.run.state === 'waiting' && kept.run.waitingFor === name)
    kept.run = { ...kept.run, waitingFor: null, dueAt: now, number: kept.run.number + 1 }
  return 'done'
}

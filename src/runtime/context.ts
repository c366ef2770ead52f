import type { Claim } from '../core/claim.ts'
import { OffstageError } from '../core/errors.ts'
import { withFields, type Logger } from '../core/logger.ts'
import { notBuilt, refuse } from '../core/options.ts'
import type { Progress, ProgressRecord } from '../core/run.ts'
import { cut } from '../core/thrown.ts'
import type { DurableContext, TaskContext } from '../core/task.ts'

/** What a context stands on; each way of running gives its own. */
export interface ContextParts {
  readonly claim: Claim
  readonly task: string
  /** Asked for its signal when the task's code is. */
  readonly ending: { readonly signal: AbortSignal }
  readonly logger: Logger
  readonly progress: (progress: ProgressRecord) => void
  readonly emit: (data: unknown) => void
  readonly start: TaskContext['start']
  /** Only a durable run remembers. */
  readonly step?: DurableContext['step']
}

/** What a task's code receives. What needs a durable run throws OFFSTAGE_NOT_DURABLE in one that is not; the types say so before. */
export function createContext(parts: ContextParts): DurableContext {
  const { claim, task, ending, logger, emit, start } = parts
  const durableOnly = (what: string) => async (): Promise<never> => {
    throw new OffstageError('OFFSTAGE_NOT_DURABLE', `\`ctx.${what}\` needs \`durable: true\` on the task "${task}".`)
  }
  const unbuilt = (what: string) =>
    parts.step === undefined ? durableOnly(what) : async (): Promise<never> => notBuilt(`ctx.${what}`)
  return Object.freeze({
    id: claim.run,
    attempt: claim.attempt,
    // Made when looked at: see Ending.
    get signal() {
      return ending.signal
    },
    get log() {
      return withFields(logger, { run: claim.run, task, attempt: claim.attempt })
    },
    progress: (p: number | Progress) => parts.progress(progressRecord(p)),
    emit,
    start,
    step: parts.step ?? durableOnly('step'),
    sleep: unbuilt('sleep'),
    waitFor: unbuilt('waitFor'),
  })
}

/** It is part of every read of the run. */
const MESSAGE = 1_024

/** A fraction is cut to 0–1: sums of floats overshoot by a hair. */
export function progressRecord(p: number | Progress): ProgressRecord {
  if (typeof p === 'number' && !Number.isNaN(p)) return { fraction: Math.min(1, Math.max(0, p)) }
  if (typeof p !== 'object' || p === null || !Number.isFinite(p.done))
    refuse('ctx.progress(…)', 'a fraction from 0 to 1, or { done, total?, message? }', p)
  const { done, total, message } = p
  if (total !== undefined && !(Number.isFinite(total) && total >= 0))
    refuse('ctx.progress(…).total', 'a number from 0 up', total)
  const fraction =
    total === undefined ? {} : { fraction: total === 0 ? 1 : Math.min(1, Math.max(0, done / total)), total }
  return { done, ...fraction, ...(message === undefined ? {} : { message: cut(String(message), MESSAGE) }) }
}

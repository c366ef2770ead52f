import type { Claim } from '../core/claim.ts'
import { OffstageError } from '../core/errors.ts'
import { withFields, type Logger, type LogLevel } from '../core/logger.ts'
import { refuse } from '../core/options.ts'
import type { Progress, ProgressRecord } from '../core/run.ts'
import { cut } from '../core/thrown.ts'
import type { DurableContext, OwnTransaction, TaskContext } from '../core/task.ts'

/** What a context stands on; each way of running gives its own. */
export interface ContextParts {
  readonly claim: Claim
  readonly task: string
  /** Asked for its signal when the task's code is. */
  readonly ending: { readonly signal: AbortSignal }
  readonly logger: Logger
  /** Hears each line besides; never throws. */
  readonly logged?: (level: LogLevel, fields: object, message: string | undefined) => void
  readonly progress: (progress: ProgressRecord) => void
  readonly emit: (data: unknown) => void
  readonly start: TaskContext['start']
  /** Only a durable run remembers. Asked when its code first needs it: many a task does not. */
  readonly flow?: () => Pick<DurableContext, 'step' | 'sleep' | 'waitFor'>
  /** Where the run is durable and its store has transactions. */
  readonly tx?: () => OwnTransaction | undefined
}

/** What a task's code receives. What needs a durable run throws OFFSTAGE_NOT_DURABLE in one that is not; the types say so before. */
export function createContext(parts: ContextParts): DurableContext {
  const { claim, task, ending, logger, emit, start } = parts
  const flow = (what: string): Pick<DurableContext, 'step' | 'sleep' | 'waitFor'> => {
    if (parts.flow !== undefined) return parts.flow()
    throw new OffstageError('OFFSTAGE_NOT_DURABLE', `\`ctx.${what}\` needs \`durable: true\` on the task "${task}".`)
  }
  return Object.freeze({
    id: claim.run,
    attempt: claim.attempt,
    // Made when looked at: see Ending.
    get signal() {
      return ending.signal
    },
    get log() {
      return heard(withFields(logger, { run: claim.run, task, attempt: claim.attempt }), parts.logged)
    },
    progress: (p: number | Progress) => parts.progress(progressRecord(p)),
    emit,
    start,
    step: async (name, fn) => flow('step').step(name, fn),
    sleep: async (name, until) => flow('sleep').sleep(name, until),
    waitFor: async (signal, options) => flow('waitFor').waitFor(signal, options),
    // At first use: a store may open a transaction for it.
    get tx() {
      return parts.tx?.()
    },
  } as DurableContext) // `tx` is as good as absent where it is undefined
}

function heard(logger: Logger, hear: ContextParts['logged']): Logger {
  if (hear === undefined) return logger
  const line =
    (level: LogLevel) =>
    (fields: object, message?: string): void => {
      hear(level, fields, message)
      logger[level](fields, message)
    }
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
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

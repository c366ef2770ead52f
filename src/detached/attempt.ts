import type { Claim, RunId } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { Verdict } from '../core/outcome.ts'
import type { Random } from '../core/random.ts'
import type { TaskContext } from '../core/task.ts'
import type { Channels } from '../runtime/channels.ts'
import { createContext } from '../runtime/context.ts'
import type { Ending } from '../runtime/ending.ts'
import type { Executor } from '../runtime/executor.ts'
import { Lending, type Place } from '../runtime/lending.ts'
import { perform } from '../runtime/perform.ts'
import { Throttle } from '../runtime/throttle.ts'
import type { LiveRun } from './live-run.ts'

export interface AttemptParts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly channels: Channels
  /** `ctx.start` of a run in memory. */
  readonly startFrom: (parent: RunId, lend: Lending['lend']) => TaskContext['start']
}

const PROGRESS_EVERY = 250

/** One attempt of a run in memory: its code called with what a context stands on, its end judged. Never rejects. */
export async function attempt(
  run: LiveRun,
  { ending, executor, place }: { readonly ending: Ending; readonly executor: Executor; readonly place: Place },
  { clock, random, channels, logger, startFrom }: AttemptParts,
): Promise<Verdict> {
  const { task } = run.request
  const claim: Claim = { run: run.id, attempt: run.attempt }
  const progress = new Throttle<Parameters<LiveRun['note']>[0]>(clock, PROGRESS_EVERY, (note) => run.note(note))
  // Code that heeds no signal may go on beside the next attempt: what it tells is not that one's.
  const isCurrent = (): boolean => run.ending === ending
  const lending = new Lending(place, executor)
  const context = createContext({
    claim,
    task: task.name,
    ending,
    logger: run.mask.logger(logger),
    progress: (data) => isCurrent() && progress.push({ type: 'progress', data }),
    emit: (data) => isCurrent() && run.note({ type: 'output', data }),
    start: startFrom(run.id, (wait) => lending.lend(wait)),
  })
  const report = (_: unknown, error: unknown): void =>
    channels.tell('task:stray', () => ({ claim, task: task.name, error: run.mask.error(error) }))
  const origin = { claim, task: task.name, report }
  const trial = { retry: task.retry, onCrash: task.onCrash, maxAttempts: task.retry.attempts, tries: run.tries }
  const call = { claim, task, input: run.request.input, context }
  const verdict = await perform({ call, trial, ending, origin, keep: (value) => value }, { executor, clock, random })
  lending.end()
  progress.flush()
  return verdict
}

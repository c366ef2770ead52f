import type { Claim } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import { CanceledError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Outcome, Verdict } from '../core/outcome.ts'
import { decode, encode, type PayloadLimits } from '../core/payload.ts'
import type { Random } from '../core/random.ts'
import type { Run } from '../core/run.ts'
import { isDone } from '../core/run-state.ts'
import type { RunEnd } from '../core/runs.ts'
import type { TaskContext, TaskPolicy } from '../core/task.ts'
import type { Journal } from '../flow/journal.ts'
import { steps } from '../flow/step.ts'
import type { Channels } from '../runtime/channels.ts'
import { createContext } from '../runtime/context.ts'
import type { Executor } from '../runtime/executor.ts'
import { perform } from '../runtime/perform.ts'
import type { ClaimedRun, Settled, Store } from '../stores/store.ts'
import { accepted, type Ledger } from './ledger.ts'
import { Notes } from './notes.ts'
import { runOf } from './records.ts'
import { storeJournal } from './store-journal.ts'
import type { Watch } from './watch.ts'

/** A run that this instance performs. */
export interface Held {
  readonly run: ClaimedRun
  readonly task: TaskPolicy
  readonly claim: Claim
  readonly ending: AbortController
}
/** What an attempt may ask of whoever holds it. */
export interface Holder {
  lend<T>(wait: () => Promise<T>): Promise<T>
  fence(claim: Claim): void
}
/** Who starts a child, and what it remembers of the children it started. */
export interface Parent {
  readonly claim: Claim
  readonly journal: Journal
  readonly lend: Holder['lend']
  /** How many children of that task this attempt has started, this one included. */
  nth(task: string): number
}

export interface AttemptParts {
  readonly store: Store
  readonly ledger: Ledger
  readonly watch: Watch
  readonly channels: Channels
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly limits: PayloadLimits
  readonly loop: Executor
  readonly threads: Executor
  readonly startFrom: (parent: Parent) => TaskContext['start']
}

type Text = string | null

/** Attempts of durable runs: performed with what the store remembers at hand, and what they came to recorded under their claim. */
export class Attempts {
  readonly #parts: AttemptParts

  constructor(parts: AttemptParts) {
    this.#parts = parts
  }

  async perform(held: Held, holder: Holder): Promise<Verdict<Text>> {
    const { clock, random, channels, limits } = this.#parts
    const { run, task, claim, ending } = held
    channels.tell('run:started', () => ({ run: runOf(run) }))
    const notes = this.#notes(held, holder)
    const executor = task.thread ? this.#parts.threads : this.#parts.loop
    const parent = { claim, journal: this.#journal(held, holder), lend: <T>(wait: () => Promise<T>) => holder.lend(() => executor.lend(wait)), nth: counter() }
    const origin = { claim, task: task.name, report: (_: unknown, error: unknown) => channels.tell('task:stray', () => ({ claim, task: task.name, error })) }
    const call = { claim, task, input: decode(run.input), context: this.#context(held, parent, notes), journal: parent.journal }
    const trial = { retry: task.retry, onCrash: task.onCrash, maxAttempts: run.maxAttempts, tries: run.tries }
    const keep = (value: unknown): Text => encode(value, `The result of the task "${task.name}"`, { bytes: limits.result, depth: limits.depth })
    const verdict = await perform({ call, trial, ending, origin, keep }, { executor, clock, random })
    notes.flush()
    return verdict
  }

  /** Written in this turn; answers after the commit: milliseconds until the run is due again, where it is. */
  async record({ run, task, claim }: Held, { outcome, thrown }: Verdict<Text>): Promise<number | undefined> {
    const { ledger, channels, watch } = this.#parts
    const answer = accepted<'settle'>(await ledger.insist({ kind: 'settle', claim, outcome }).catch(() => 'fenced' as const))
    if (answer === 'fenced' && !(await this.#endedBy(claim, outcome))) {
      channels.tell('run:fenced', () => ({ claim, task: task.name }))
      watch.changed(claim.run)
      return undefined
    }
    if (answer === 'fenced') return watch.changed(claim.run), undefined
    watch.changed(claim.run, endOf(answer, outcome, thrown))
    this.#tell({ ...run, ...after(run, answer, outcome) }, outcome, thrown)
    return outcome.kind === 'retry' && answer.state === 'waiting' ? outcome.after : undefined
  }

  /** A reply was lost and the write was repeated: the run reads as ended by this very attempt. */
  async #endedBy(claim: Claim, outcome: Outcome<Text>): Promise<boolean> {
    const record = await this.#parts.store.read({ kind: 'find', run: claim.run }).catch(() => undefined)
    return record !== undefined && record.attempt === claim.attempt && isDone(record.state) && record.state === outcome.kind
  }

  #context({ run, task, claim, ending }: Held, parent: Parent, notes: Notes): TaskContext {
    const { logger, limits, startFrom } = this.#parts
    return createContext({
      claim, task: task.name, signal: ending.signal, logger,
      progress: (data) => notes.progress(data),
      emit: (data) => notes.output(data),
      start: startFrom(parent),
      step: steps(parent.journal, { claim: { run: run.id, attempt: run.attempt }, signal: ending.signal, limit: { bytes: limits.result, depth: limits.depth } }),
    })
  }

  #journal({ claim, task }: Held, holder: Holder): Journal {
    const { store, ledger, channels } = this.#parts
    const fenced = (): void => {
      channels.tell('run:fenced', () => ({ claim, task: task.name }))
      holder.fence(claim)
    }
    return storeJournal({ store, ledger, claim, fenced })
  }

  #notes({ claim }: Held, holder: Holder): Notes {
    const { ledger, clock, limits, watch } = this.#parts
    const written = (answer: 'done' | 'fenced'): void => (answer === 'fenced' ? holder.fence(claim) : watch.changed(claim.run))
    return new Notes({ ledger, clock, claim, limit: { bytes: limits.result, depth: limits.depth }, written })
  }

  #tell(record: ClaimedRun, outcome: Outcome<Text>, error: unknown): void {
    const { channels } = this.#parts
    const { state } = record
    const run = (): Run => runOf(record)
    if (state === 'succeeded') channels.tell('run:succeeded', () => ({ run: run() }))
    else if (state === 'failed') channels.tell('run:failed', () => ({ run: run(), error }))
    else if (state === 'canceled') channels.tell('run:canceled', () => ({ run: run() }))
    else if (outcome.kind === 'retry') channels.tell('run:retried', () => ({ run: run(), error }))
  }
}

/** 1, 2, 3 … for each name. */
function counter(): (name: string) => number {
  const counts = new Map<string, number>()
  return (name) => {
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    return count
  }
}

/** How the run ended for those who wait for it here; undefined: it waits again. */
function endOf({ state }: Settled, outcome: Outcome<Text>, thrown: unknown): RunEnd | undefined {
  if (state === 'succeeded' && outcome.kind === 'succeeded') return { state, result: decode(outcome.result) }
  if (state === 'failed' && outcome.kind === 'failed') return { state, reason: outcome.reason, error: thrown }
  return state === 'canceled' ? { state, error: thrown instanceof CanceledError ? thrown : new CanceledError() } : undefined
}

/** The record as the store has it now, without asking for it. */
function after(run: ClaimedRun, { state, at, number }: Settled, outcome: Outcome<Text>): Partial<ClaimedRun> {
  const failure = outcome.kind === 'failed' || outcome.kind === 'retry' ? { reason: state === 'failed' ? outcome.reason : null, error: outcome.error } : {}
  return {
    state, number, instance: null, crashes: 0,
    ...(isDone(state) ? { finishedAt: at } : { dueAt: at }),
    ...(outcome.kind === 'succeeded' ? { result: outcome.result } : failure),
    ...(state === 'canceled' ? { reason: 'canceled' } : {}),
    ...(outcome.kind === 'released' ? { tries: run.tries - 1 } : {}),
  }
}

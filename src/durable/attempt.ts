import type { Claim } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { PayloadLimit, PayloadLimits } from '../core/payload.ts'
import type { Random } from '../core/random.ts'
import type { DurableContext, TaskContext, TaskPolicy } from '../core/task.ts'
import type { Journal } from '../flow/journal.ts'
import { steps } from '../flow/step.ts'
import type { Channels } from '../runtime/channels.ts'
import { createContext } from '../runtime/context.ts'
import type { Ending } from '../runtime/ending.ts'
import type { Executor } from '../runtime/executor.ts'
import { Lending, type Place } from '../runtime/lending.ts'
import type { Origin } from '../runtime/stray-failures.ts'
import type { ClaimedRun, Store } from '../stores/store.ts'
import type { Ledger } from './ledger.ts'
import { Notes } from './notes.ts'
import { storeJournal } from './store-journal.ts'
import type { Watch } from './watch.ts'

/** A run that this instance performs. */
export interface Held {
  readonly run: ClaimedRun
  readonly task: TaskPolicy
  readonly claim: Claim
  readonly ending: Ending
}
/** What an attempt may ask of whoever holds it. */
export interface Holder extends Place {
  fence(claim: Claim): void
}
/** Who starts a child, and what it remembers of the children it started. */
export interface Parent extends Journal {
  readonly claim: Claim
  lend<T>(wait: () => Promise<T>): Promise<T>
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

/** What one attempt of a durable run stands on. Its parts are made when the task's code first needs them: many a task needs none. */
export class Attempt implements Parent, Origin {
  readonly claim: Claim
  readonly task: string
  readonly #parts: AttemptParts
  readonly #held: Held
  readonly #holder: Holder
  readonly #lending: Lending
  readonly #children = new Map<string, number>()
  #notes: Notes | undefined
  #journal: Journal | undefined
  #step: DurableContext['step'] | undefined
  #over = false

  constructor(parts: AttemptParts, by: { readonly held: Held; readonly holder: Holder; readonly executor: Executor }) {
    this.#parts = parts
    this.#held = by.held
    this.#holder = by.holder
    this.#lending = new Lending(by.holder, by.executor)
    this.claim = by.held.claim
    this.task = by.held.task.name
  }

  context(): TaskContext {
    const { ending } = this.#held
    const begin = (): DurableContext['step'] =>
      (this.#step ??= steps(this, { claim: this.claim, signal: ending.signal, limit: this.#limit }))
    return createContext({
      claim: this.claim,
      task: this.task,
      ending,
      logger: this.#parts.logger,
      progress: (data) => this.#told.progress(data),
      emit: (data) => this.#told.output(data),
      start: this.#parts.startFrom(this),
      step: (name, fn) => begin()(name, fn),
    })
  }

  recall(name: string): Promise<string | null | undefined> {
    return this.#memory.recall(name)
  }

  record(name: string, result: string | null): Promise<void> {
    return this.#memory.record(name, result)
  }

  nth(task: string): number {
    const count = (this.#children.get(task) ?? 0) + 1
    this.#children.set(task, count)
    return count
  }

  lend<T>(wait: () => Promise<T>): Promise<T> {
    return this.#lending.lend(wait)
  }

  report(_: Origin, error: unknown): void {
    const { claim, task } = this
    this.#parts.channels.tell('task:stray', () => ({ claim, task, error }))
  }

  /** The code has ended: what was told and not written yet goes out before that end. */
  end(): void {
    this.#over = true
    this.#lending.end()
    this.#notes?.flush()
  }

  /** A write that was left behind when the code ended says nothing of who holds the run: the end itself is answered. */
  #fenced(): void {
    if (!this.#over) this.#holder.fence(this.claim)
  }

  get #limit(): PayloadLimit {
    return { bytes: this.#parts.limits.result, depth: this.#parts.limits.depth }
  }

  get #told(): Notes {
    const { ledger, clock, watch } = this.#parts
    const written = (answer: 'done' | 'fenced'): void =>
      answer === 'fenced' ? this.#fenced() : watch.changed(this.claim.run)
    return (this.#notes ??= new Notes({ ledger, clock, claim: this.claim, limit: this.#limit, written }))
  }

  get #memory(): Journal {
    const { store, ledger } = this.#parts
    const { claim } = this
    const fenced = (): void => this.#fenced()
    return (this.#journal ??= storeJournal({ store, ledger, claim, fenced }))
  }
}

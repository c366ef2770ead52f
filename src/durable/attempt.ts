import { claimText, type Claim } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import { FencedError } from '../core/errors.ts'
import type { Parking } from '../core/outcome.ts'
import type { Logger } from '../core/logger.ts'
import type { PayloadLimit, PayloadLimits } from '../core/payload.ts'
import type { Random } from '../core/random.ts'
import type { TaskContext, TaskPolicy } from '../core/task.ts'
import { flowOf, type Flow } from '../flow/flow.ts'
import type { Journal } from '../flow/journal.ts'
import type { Channels } from '../runtime/channels.ts'
import { createContext } from '../runtime/context.ts'
import type { Ending } from '../runtime/ending.ts'
import type { Executor } from '../runtime/executor.ts'
import { Lending, type Place } from '../runtime/lending.ts'
import type { Mask } from '../runtime/mask.ts'
import type { Origin } from '../runtime/stray-failures.ts'
import type { ClaimedRun, Store, TxStatement, Retention } from '../stores/store.ts'
import { KeptTx } from './kept-tx.ts'
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
export interface Holder {
  placeOf(held: Held): Place
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
  readonly retention: Retention
  readonly loop: Executor
  readonly threads: Executor
  readonly startFrom: (parent: Parent) => TaskContext['start']
}

interface AttemptBy {
  readonly held: Held
  readonly holder: Holder
  readonly executor: Executor
  /** Of what its code tells. */
  readonly mask: Mask
}

/** What one attempt of a durable run stands on. Its parts are made when the task's code first needs them: many a task needs none. */
export class Attempt implements Parent, Origin {
  readonly claim: Claim
  readonly task: string
  readonly #parts: AttemptParts
  readonly #held: Held
  readonly #holder: Holder
  readonly #lending: Lending
  readonly #mask: Mask
  readonly #children = new Map<string, number>()
  /** By this process's clock; the claim's reply has come by then, so the store's time is no earlier. */
  readonly #began: number
  #notes: Notes | undefined
  #journal: Pick<Journal, 'recall' | 'record'> | undefined
  #flow: Flow | undefined
  #tx: KeptTx | undefined
  #over = false

  constructor(parts: AttemptParts, by: AttemptBy) {
    this.#parts = parts
    this.#held = by.held
    this.#holder = by.holder
    this.#mask = by.mask
    this.#lending = new Lending(by.holder.placeOf(by.held), by.executor)
    this.#began = parts.clock.monotonic()
    this.claim = by.held.claim
    this.task = by.held.task.name
  }

  context(): TaskContext {
    const { claim, task } = this
    const start = this.#parts.startFrom(this)
    return createContext({
      claim,
      task,
      ending: this.#held.ending,
      logger: this.#mask.logger(this.#parts.logger),
      logged: (level, fields, message) => this.#tell((notes) => notes.log(level, ...this.#mask.line(fields, message))),
      progress: (data) => this.#tell((notes) => notes.progress(data)),
      emit: (data) => this.#tell((notes) => notes.output(data)),
      start: async (child, ...args) => {
        if (this.#held.ending.reason !== undefined) throw this.#held.ending.reason
        return this.#remembered.during(() => start(child, ...args))
      },
      flow: () => this.#remembered,
      tx: () => this.#transaction?.face,
    })
  }

  recall(name: string): Promise<string | null | undefined> {
    return this.#memory.recall(name)
  }

  record(name: string, result: string | null): Promise<string | null> {
    return this.#memory.record(name, result)
  }

  park(parking: Parking): void {
    this.#held.ending.park(parking)
    // What the code does beside its wait stops: it is called again from its first line.
    this.#held.ending.abort(new FencedError(claimText(this.claim)))
  }

  /** The store's at the claim, and what has passed since: never ahead of it, whatever this process's wall clock says. */
  now(): number {
    const { startedAt, createdAt } = this.#held.run
    return (startedAt ?? createdAt) + this.#parts.clock.monotonic() - this.#began
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
    this.#parts.channels.tell('task:stray', () => ({ claim, task, error: this.#mask.error(error) }))
  }

  /** The code has ended: what was told and not written yet goes out before that end. */
  end(): void {
    this.#over = true
    this.#lending.end()
    this.#notes?.flush()
  }

  /** That end is written once more. */
  endAgain(): void {
    this.#notes?.repeat()
  }

  /** What the code wrote, to be committed with its success. */
  async statements(): Promise<readonly TxStatement[]> {
    return this.#tx === undefined ? [] : this.#tx.statements()
  }

  /** A write that was left behind when the code ended says nothing of who holds the run: the end itself is answered. */
  #fenced(): void {
    if (!this.#over) this.#holder.fence(this.claim)
  }

  get #limit(): PayloadLimit {
    return { bytes: this.#parts.limits.result, depth: this.#parts.limits.depth }
  }

  get #remembered(): Flow {
    const { claim, task } = this
    const { signal } = this.#held.ending
    return (this.#flow ??= flowOf({ journal: this, claim, task, signal, limit: this.#limit, clock: this.#parts.clock }))
  }

  get #transaction(): KeptTx | undefined {
    if (this.#tx !== undefined) return this.#tx
    const own = this.#parts.store.begin(this.claim)
    return own && (this.#tx = new KeptTx(own))
  }

  /** Code that outlives its attempt is heard no more. */
  #tell(told: (notes: Notes) => void): void {
    if (!this.#over) told(this.#told)
  }

  get #told(): Notes {
    const { ledger, clock, watch } = this.#parts
    const written = (answer: 'done' | 'fenced'): void =>
      answer === 'fenced' ? this.#fenced() : watch.changed(this.claim.run)
    return (this.#notes ??= new Notes({ ledger, clock, claim: this.claim, limit: this.#limit, written }))
  }

  get #memory(): Pick<Journal, 'recall' | 'record'> {
    const { store, ledger } = this.#parts
    const { claim } = this
    const fenced = (): void => this.#fenced()
    return (this.#journal ??= storeJournal({ store, ledger, claim, fenced }))
  }
}

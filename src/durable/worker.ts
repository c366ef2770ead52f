import { claimText, type Claim, type InstanceId, type RunId } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import { CanceledError, FencedError, ShutdownError } from '../core/errors.ts'
import { released, type Verdict } from '../core/outcome.ts'
import { SUSPECT_AT } from '../core/rescue.ts'
import type { Channels } from '../runtime/channels.ts'
import type { Drainable, Drained } from '../runtime/drain.ts'
import { Ending } from '../runtime/ending.ts'
import type { Executor } from '../runtime/executor.ts'
import type { Place } from '../runtime/lending.ts'
import type { Registry } from '../runtime/registry.ts'
import { Alarm } from '../runtime/timers.ts'
import type { Claimed, ClaimedRun, Inserted, NewRun, Version } from '../stores/store.ts'
import type { Held, Holder } from './attempt.ts'
import type { Attempts } from './attempts.ts'
import { accepted, type Ledger } from './ledger.ts'
import { OpenPlaces } from './places.ts'
import { bornRunning } from './records.ts'
import type { StoreHealth } from './store-health.ts'

export interface WorkerParts {
  readonly ledger: Ledger
  readonly channels: Channels
  readonly health: StoreHealth
  readonly clock: Clock
  readonly registry: Registry
  readonly attempts: Attempts
  readonly threads: Executor
  /** Durable runs at once, those on threads included; 0: this instance only starts runs. */
  readonly concurrency: number
  readonly instance: () => InstanceId
  /** What this instance performs. */
  readonly can: readonly Version[]
  /** A claim's reply was lost: it may have been granted. */
  readonly lostReply: () => void
  /** The store holds this instance for dead: a new id is wanted. */
  readonly reborn: () => Promise<void>
}

const NOTHING: Claimed = { claimed: [], left: null, next: null }
/** After a claim that failed, or left work waiting: the store, or a thread that had died, may be back. */
const ASK_AGAIN = 500
/** While a run is due later: due times are the wall clock's, and that may be set. */
const LOOK_ANYWAY = 30_000

/**
 * claim → perform → settle: knows how many places are free and what may be waiting for them. One claim is under way at a time; it
 * shares its commit with the ends that freed the places.
 */
export class Worker implements Drainable, Holder {
  readonly #parts: WorkerParts
  readonly #places: OpenPlaces
  readonly #held = new Map<RunId, Held>()
  /** Of these, those that were found to be another's: told once. */
  readonly #fenced = new Set<Held>()
  /** Those that begin in the next turn. */
  #next: Held[] = []
  /** The highest priority that may be due and waiting; null: nothing is. */
  #left: number | null = Number.POSITIVE_INFINITY
  #asking = false
  /** Since the claim under way was asked for: something may wait, or a place was freed. */
  #woken = false
  #freed = false
  #stopped = false
  /** Attempts begun here since the start. */
  begun = 0
  readonly #alarm: Alarm
  readonly #quieter = new Set<() => void>()

  constructor(parts: WorkerParts) {
    this.#parts = parts
    this.#alarm = new Alarm(parts.clock, () => this.wake())
    this.#places = new OpenPlaces(parts.concurrency, parts.threads)
    this.#ask()
  }

  /** From now on that many at once: an instance that performs none may be asked to, for a while. */
  set bound(bound: number) {
    this.#places.bound = bound
    if (bound > 0) this.wake()
    else this.#alarm.silence()
  }

  /** Runs performed here. */
  get held(): number {
    return this.#held.size
  }

  /** Its end will be told here. */
  holds(run: RunId): boolean {
    const held = this.#held.get(run)
    return held !== undefined && !this.#fenced.has(held)
  }

  performs({ run, attempt }: Claim): boolean {
    return this.#held.get(run)?.claim.attempt === attempt
  }

  /** Asks the code of a run that is performed here to stop. */
  cancel(run: RunId, reason?: string): void {
    this.#held.get(run)?.ending.abort(new CanceledError(reason))
  }

  /** A place for a run that is about to be inserted, so that it can be born claimed; not while older work may wait for it. */
  reserve({ task, priority, thread, delay, at }: NewRun): boolean {
    const places = this.#places.free
    const behind = this.#left !== null && this.#left >= priority
    if (this.#stopped || behind || delay > 0 || at !== null || places.all <= 0 || (thread && places.threads <= 0))
      return false
    if (this.#parts.registry.get(task) === undefined) return false
    this.#places.take({ thread, crashes: 0 })
    return true
  }

  unreserve(run: NewRun): void {
    const unborn = { ...run, crashes: 0 }
    this.#places.giveUp(unborn)
    this.#placeFreed(unborn)
    this.#tellQuiet()
  }

  /** A run was committed: it is born claimed and begins here, or waits. */
  inserted(run: NewRun, { disposition, claimed, createdAt, dueAt }: Inserted): void {
    // A repeated parent asks for its child again: that one waits, runs or has ended already, here or elsewhere.
    if (disposition === 'existing') return
    if (claimed) this.#begin(bornRunning(run, createdAt, this.#parts.instance()))
    else if (dueAt > createdAt) this.#askIn(dueAt - createdAt)
    else this.wake(run.priority)
  }

  /** Something of that priority waits, or may wait. */
  wake(priority: number = Number.POSITIVE_INFINITY): void {
    this.#left = Math.max(this.#left ?? Number.NEGATIVE_INFINITY, priority)
    this.#woken = true
    this.#ask()
  }

  /** A parent gives it back while it awaits a child. */
  placeOf({ run }: Held): Place {
    return this.#places.placeOf(run, () => this.#placeFreed(run))
  }

  /** Resolves with true once nothing is under way here and nothing is known to wait; false: the signal came first, or the shutdown. */
  async exhausted(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted && !this.#stopped) {
      if (this.#isQuiet() && this.#left === null) return true
      await this.#quieterThan(signal)
    }
    return false
  }

  /** What is under way ends, and what a reply still brings is given back: nothing begins any more. */
  async idle(): Promise<void> {
    this.#stopped = true
    this.#alarm[Symbol.dispose]()
    this.#lookAgain()
    while (!this.#isQuiet()) await this.#quieterThan()
  }

  abandon(): readonly Drained[] {
    this.#stopped = true
    const held = [...this.#held.values()]
    for (const { ending } of held) ending.abort(new ShutdownError())
    return held.map(({ run, task }) => ({ id: run.id, task: task.name, durable: true }))
  }

  #askIn(ms: number): void {
    if (this.#places.isOpen) this.#alarm.ringIn(Math.min(ms, LOOK_ANYWAY))
  }

  /** It is worth a claim only where something is known to wait: what others insert the store tells, and suspects are passed over untold. */
  #placeFreed({ crashes }: { readonly crashes: number }): void {
    this.#freed = true
    if (crashes >= SUSPECT_AT) this.wake()
    else if (this.#left !== null) this.#ask()
  }

  #ask(): void {
    if (this.#asking || this.#stopped || this.#parts.can.length === 0 || this.#places.free.all <= 0) return
    this.#asking = true
    this.#woken = false
    this.#freed = false
    void this.#claim() // it never rejects
  }

  async #claim(): Promise<void> {
    const { ledger, instance, can, reborn, health, lostReply } = this.#parts
    try {
      // Runs that end together free their places one after another: a moment later all of them are free, and one claim fills them.
      await Promise.resolve()
      const write = { kind: 'claim', instance: instance(), can, places: this.#places.free } as const
      const answer = this.#stopped ? NOTHING : accepted<'claim'>(await ledger.add(write))
      health.answered(this)
      if (answer === 'dead') await this.#fenceAll(reborn)
      else this.#take(answer)
    } catch (error) {
      // Not repeated: what it claimed, if it did, is looked for.
      lostReply()
      health.failed(this, error)
      this.#askIn(ASK_AGAIN)
    }
    this.#asking = false
    this.#tellQuiet()
    if (this.#woken || (this.#freed && this.#left !== null)) this.#ask()
  }

  #take({ claimed, left, next }: Claimed): void {
    if (!this.#woken) this.#left = left
    if (left !== null) this.#askIn(ASK_AGAIN)
    if (next !== null) this.#askIn(next)
    for (const run of claimed) this.#begin(run)
  }

  async #fenceAll(reborn: () => Promise<void>): Promise<void> {
    for (const { claim } of this.#held.values()) this.fence(claim)
    await reborn()
    this.#woken = true
  }

  /** Another attempt, or nobody, holds this run: its code is told, and nothing of it is written any more. */
  fence(claim: Claim): void {
    const held = this.#held.get(claim.run)
    if (held === undefined || held.claim.attempt !== claim.attempt || this.#fenced.has(held)) return
    this.#fenced.add(held)
    this.#parts.channels.tell('run:fenced', () => ({ claim, task: held.task.name }))
    held.ending.abort(new FencedError(claimText(claim)))
  }

  /** In a later turn than the answer that brought it. */
  #begin(claimed: ClaimedRun): void {
    const task = this.#parts.registry.get(claimed.task)
    if (task === undefined)
      throw new TypeError(
        `The store gave the run ${claimed.id} of the task "${claimed.task}", which was not asked for.`,
      )
    const run = claimed.thread === task.thread ? claimed : { ...claimed, thread: task.thread }
    const held: Held = { run, task, claim: { run: run.id, attempt: run.attempt }, ending: new Ending() }
    this.#held.set(run.id, held)
    // Its claim was under way when this instance began to stop: it did not begin, so it is no try.
    if (this.#stopped) return void this.#record(held, { outcome: released, thrown: undefined }) // it never rejects
    this.begun++
    this.#places.take(run)
    if (this.#next.push(held) === 1) this.#parts.clock.nextTurn(() => this.#performNext())
  }

  #performNext(): void {
    const next = this.#next
    this.#next = []
    for (const held of next) void this.#perform(held) // it never rejects
  }

  async #perform(held: Held): Promise<void> {
    const { attempts } = this.#parts
    const ended = attempts.perform(held, this)
    this.#places.begun(held.run)
    const verdict = await ended
    const recorded = this.#record(held, verdict)
    // The next claim is asked for in the turn that records the end: both share a commit.
    this.#places.leave(held.run)
    this.#placeFreed(held.run)
    await recorded
  }

  async #record(held: Held, verdict: Verdict<string | null>): Promise<void> {
    const { attempts, health } = this.#parts
    try {
      const again = await attempts.record(held, verdict, this)
      if (again !== undefined) this.#askIn(again)
    } catch (error) {
      // Closed before the store answered, or refused twice: it is found to be nobody's, here or when this instance is gone.
      health.failed(this, error)
    }
    // The run may be held again: its next attempt can be claimed in the very commit that records this one.
    if (this.#held.get(held.claim.run) === held) this.#held.delete(held.claim.run)
    this.#fenced.delete(held)
    attempts.over(held)
    this.#tellQuiet()
  }

  #isQuiet(): boolean {
    return this.#held.size === 0 && this.#places.areAllFree && !this.#asking
  }

  async #quieterThan(signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#quieter.add(resolve)
    signal?.addEventListener('abort', () => resolve(), { once: true })
    await promise
    this.#quieter.delete(resolve)
  }

  #tellQuiet(): void {
    if (this.#isQuiet()) this.#lookAgain()
  }

  #lookAgain(): void {
    for (const resolve of this.#quieter) resolve()
    this.#quieter.clear()
  }
}

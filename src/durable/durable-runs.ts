import type { RunId } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import { OffstageError, ShutdownError } from '../core/errors.ts'
import type { Liveness } from '../core/liveness.ts'
import type { Logger } from '../core/logger.ts'
import type { PayloadLimits } from '../core/payload.ts'
import type { Random } from '../core/random.ts'
import type { Run, RunDetails, RunSnapshot } from '../core/run.ts'
import type { RunEvent } from '../core/run-events.ts'
import type { State } from '../core/run-state.ts'
import type { RunEnd, RunFilter, Runs, Started, Starter, StartRequest } from '../core/runs.ts'
import type { Cancellation } from '../core/start.ts'
import type { TaskContext } from '../core/task.ts'
import { childId } from '../flow/child.ts'
import type { Channels } from '../runtime/channels.ts'
import type { Drainable, Drained, DrainReport } from '../runtime/drain.ts'
import type { Executor } from '../runtime/executor.ts'
import type { Registry } from '../runtime/registry.ts'
import { Rounds } from '../runtime/service.ts'
import { Throttle } from '../runtime/throttle.ts'
import type { Inserted, JoinedTx, NewRun, QuestionOf, Refused, Retention, Store, Version } from '../stores/store.ts'
import type { Parent } from './attempt.ts'
import { Attempts } from './attempts.ts'
import { accepted, Ledger } from './ledger.ts'
import { Presence } from './presence.ts'
import { Reconcile } from './reconcile.ts'
import { Operating } from './operating.ts'
import { Pruner } from './pruner.ts'
import { runOf } from './records.ts'
import { Rescue } from './rescue.ts'
import { newRun, submit, type SubmitParts } from './submit.ts'
import { StoreHealth } from './store-health.ts'
import { UnknownTasks } from './unknown-tasks.ts'
import { Watch } from './watch.ts'
import { Worker } from './worker.ts'

export interface DurableParts {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly channels: Channels
  readonly registry: Registry
  readonly limits: PayloadLimits
  readonly retention: Retention
  readonly loop: Executor
  readonly threads: Executor
  /** Runs performed at once; 0: this instance only starts them. */
  readonly concurrency: number
  readonly startFrom: (parent: Parent) => TaskContext['start']
  /** Asked once the store is open: an instance that is shutting down by then must not begin. */
  readonly closing: () => boolean
}

/** How often deaths, deadlines and cancels asked for elsewhere are looked for. */
const ROUND = 500
/** Others may commit without a pause: their work is looked for at most that often, and the last time always. */
const CLAIM_AGAIN = 25
/** What `drain` performs at once where this instance performs none otherwise. */
const DRAINED_AT_ONCE = 16

const versionsOf = (registry: Registry): readonly Version[] =>
  registry.all
    .filter((task) => task.durable)
    .map(({ name, version, thread, upcast }) => ({ task: name, version, thread, upcasts: upcast !== undefined }))

function notATransaction(): never {
  throw new OffstageError(
    'OFFSTAGE_NOT_A_TRANSACTION',
    "The `tx` that was given is no transaction that this store can join. For SQLite it is a connection of `node:sqlite` on the store's own file, between BEGIN and COMMIT, and outside of any run.",
  )
}

/** Durable runs over a store: the roles, wired. */
export class DurableRuns implements Runs, Starter, Drainable {
  readonly #parts: DurableParts
  readonly #ledger: Ledger
  readonly #watch: Watch
  readonly #presence: Presence
  readonly #worker: Worker
  readonly #submit: SubmitParts
  readonly #operating: Operating
  readonly #rescue: Rescue
  readonly #beginRounds: () => readonly Rounds[]
  #rounds: readonly Rounds[]
  readonly #wakes: Disposable
  readonly #claims: Throttle<void>
  #closed = false
  /** Under way: an instance that performs none does so until the last of them has ended. */
  #drains = 0

  /** Opens the store, makes this instance known, takes back what the dead left, and begins to claim. */
  static async open(parts: DurableParts): Promise<DurableRuns> {
    const liveness = await parts.store.open()
    const ledger = new Ledger(parts.store, parts.clock)
    const can = parts.concurrency === 0 ? [] : versionsOf(parts.registry)
    const presence = new Presence({ ledger, liveness, random: parts.random, can })
    try {
      await presence.join()
      if (parts.closing()) throw new ShutdownError()
      return new DurableRuns(parts, { liveness, ledger, presence })
    } catch (error) {
      liveness.end()
      await parts.store.close()
      throw error
    }
  }

  private constructor(
    parts: DurableParts,
    opened: { readonly liveness: Liveness; readonly ledger: Ledger; readonly presence: Presence },
  ) {
    const { store, clock, channels } = parts
    const { ledger, presence, liveness } = opened
    const instance = (): string => presence.id
    this.#parts = parts
    this.#ledger = ledger
    this.#presence = presence
    this.#watch = new Watch(parts)
    const attempts = new Attempts({ ...parts, ledger, watch: this.#watch })
    const lostReply = (): void => reconcile.lostReply()
    const health = new StoreHealth(channels)
    const can = versionsOf(parts.registry)
    const reborn = (): Promise<void> => presence.join()
    const worker = new Worker({ ...parts, ledger, health, attempts, instance, can, lostReply, reborn })
    const reconcile = new Reconcile({ store, ledger, worker, instance })
    this.#worker = worker
    this.#submit = { ledger, worker, instance, lostReply }
    const changed = (run: RunId): void => this.#watch.changed(run)
    const rescued = (): void => worker.wake()
    const rescue = new Rescue({ store, ledger, liveness, channels, me: instance, changed, rescued })
    this.#rescue = rescue
    const { result: bytes, depth } = parts.limits
    this.#operating = new Operating({ ...parts, ledger, worker, watch: this.#watch, limit: { bytes, depth } })
    const pruner = new Pruner({ ...parts, ledger, stopped: () => this.#closed })
    const unknownTasks = new UnknownTasks(parts)
    this.#beginRounds = () =>
      [rescue, reconcile, pruner, unknownTasks].map((role) => new Rounds(role, { clock, every: ROUND, health }))
    this.#rounds = parts.concurrency === 0 ? [] : this.#beginRounds()
    this.#claims = new Throttle(clock, CLAIM_AGAIN, () => worker.wake())
    this.#wakes = store.wakes(() => {
      this.#claims.push()
      this.#watch.woken()
    })
  }

  /** Answers after the commit, which all of them share; one that cannot be kept keeps all from being started. */
  async start(requests: readonly StartRequest[]): Promise<readonly Started[]> {
    if (this.#closed) throw new ShutdownError()
    if (requests.some(({ options }) => options.tx !== undefined))
      return Promise.all(requests.map((one) => this.#join(one)))
    const runs = requests.map((request) => this.#newRun(request))
    return Promise.all(runs.map((run) => this.#start(run)))
  }

  async #start(run: NewRun): Promise<Started> {
    // An instance that performs none is told of no end.
    if (this.#parts.concurrency === 0) return submit(this.#submit, run)
    this.#watch.starts(run.id)
    try {
      const started = await submit(this.#submit, run)
      if (started.disposition === 'existing') this.#watch.notStarted(run.id)
      return started
    } catch (error) {
      this.#watch.notStarted(run.id)
      throw error
    }
  }

  /** In the caller's transaction: there when it commits. */
  async #join(request: StartRequest): Promise<Started> {
    return this.#joined(request, await this.#transactionOf(request).insert(this.#newRun(request)))
  }

  /** The same at once. */
  startWithin(request: StartRequest): Started {
    if (this.#closed) throw new ShutdownError()
    const { insertNow } = this.#transactionOf(request)
    if (insertNow === undefined) notATransaction()
    return this.#joined(request, insertNow(this.#newRun(request)))
  }

  #transactionOf({ options }: StartRequest): JoinedTx {
    return this.#parts.store.within(options.tx) ?? notATransaction()
  }

  #joined({ options }: StartRequest, answer: Inserted | Refused): Started {
    const { id, disposition } = accepted<'insert'>(answer) as Inserted // fenced are those that an attempt starts
    // Most commit in the turn in which they start; of the others the store tells.
    this.#parts.clock.nextTurn(() => this.#worker.wake(options.priority))
    return { id, disposition }
  }

  #newRun(request: StartRequest, id: RunId = this.#parts.random.runId()): NewRun {
    const { input, depth } = this.#parts.limits
    return newRun(id, request, { bytes: input, depth })
  }

  /** From a run: once, however often its attempt is repeated. */
  async startChild(request: StartRequest, parent: Parent): Promise<Started> {
    const { name } = request.task
    if (request.options.tx !== undefined) notATransaction()
    const { id, remembered } = await childId(parent, { task: name, nth: parent.nth(name) }, () =>
      this.#parts.random.runId(),
    )
    const run = this.#newRun(request, id)
    const [started] = await Promise.all([submit(this.#submit, run, parent.claim), remembered])
    return started
  }

  async get(id: RunId): Promise<RunSnapshot | undefined> {
    const record = await this.#parts.store.read({ kind: 'find', run: id })
    return record === undefined ? undefined : { run: runOf(record, this.#parts.retention), number: record.number }
  }

  details(id: RunId): Promise<RunDetails | undefined> {
    return this.#operating.details(id)
  }

  list(asked: Omit<QuestionOf<'list'>, 'kind'>): Promise<readonly Run[]> {
    return this.#operating.list(asked)
  }

  tally(filter: RunFilter): Promise<Readonly<Record<State, number>>> {
    return this.#operating.tally(filter)
  }

  cancel(id: RunId, reason?: string): Promise<Cancellation | undefined> {
    return this.#operating.cancel(id, reason)
  }

  rerun(id: RunId): Promise<Run | undefined> {
    return this.#operating.rerun(id)
  }

  remove(id: RunId): Promise<boolean | undefined> {
    return this.#operating.remove(id)
  }

  signal(id: RunId, name: string, payload: unknown): Promise<true | undefined> {
    return this.#operating.signal(id, name, payload)
  }

  ended(id: RunId, signal?: AbortSignal): Promise<RunEnd | undefined> {
    return this.#watch.ended(id, () => this.#worker.holds(id), signal)
  }

  watch(id: RunId, options?: { readonly after?: number; readonly signal?: AbortSignal }): AsyncIterable<RunEvent> {
    return this.#watch.follow(id, options)
  }

  /** Performs what is due until nothing is, or the signal fires; for that long also where this instance performs none otherwise. */
  async drain(signal: AbortSignal): Promise<DrainReport> {
    const { concurrency } = this.#parts
    const begun = this.#worker.begun
    if (this.#drains++ === 0 && concurrency === 0) this.#rounds = this.#beginRounds()
    await using _drain = { [Symbol.asyncDispose]: () => this.#drained() }
    if (concurrency === 0) await this.#rescue.tick()
    this.#worker.bound = concurrency === 0 ? DRAINED_AT_ONCE : concurrency
    const left = !(await this.#worker.exhausted(signal))
    return { performed: this.#worker.begun - begun, left }
  }

  /** After the last of them it is as before. */
  async #drained(): Promise<void> {
    if (--this.#drains > 0) return
    this.#worker.bound = this.#parts.concurrency
    if (this.#parts.concurrency === 0) await this.#endRounds()
  }

  async #endRounds(): Promise<void> {
    await Promise.all(this.#rounds.map((rounds) => rounds[Symbol.asyncDispose]()))
  }

  async idle(): Promise<void> {
    this.#closed = true
    await this.#worker.idle()
  }

  abandon(): readonly Drained[] {
    return this.#worker.abandon()
  }

  /** After the drain: nothing is written any more, and nobody must take this instance for dead before that. */
  async close(): Promise<void> {
    this.#closed = true
    this.#wakes[Symbol.dispose]()
    this.#claims.flush()
    this.#ledger.close()
    this.#watch.close()
    await this.#endRounds()
    try {
      await this.#presence.leave()
    } finally {
      await this.#parts.store.close()
    }
  }
}

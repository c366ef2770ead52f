import type { RunId } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import { ShutdownError } from '../core/errors.ts'
import type { Liveness } from '../core/liveness.ts'
import type { Logger } from '../core/logger.ts'
import type { PayloadLimits } from '../core/payload.ts'
import type { Random } from '../core/random.ts'
import type { RunSnapshot } from '../core/run.ts'
import type { RunEvent } from '../core/run-events.ts'
import type { RunEnd, Runs, Started, Starter, StartRequest } from '../core/runs.ts'
import type { Cancellation } from '../core/start.ts'
import type { TaskContext } from '../core/task.ts'
import { childId } from '../flow/child.ts'
import type { Channels } from '../runtime/channels.ts'
import type { Drainable, Drained } from '../runtime/drain.ts'
import type { Executor } from '../runtime/executor.ts'
import type { Registry } from '../runtime/registry.ts'
import { Rounds } from '../runtime/service.ts'
import type { Store } from '../stores/store.ts'
import type { Parent } from './attempt.ts'
import { Attempts } from './attempts.ts'
import { accepted, Ledger } from './ledger.ts'
import { Presence } from './presence.ts'
import { Reconcile } from './reconcile.ts'
import { endOf, runOf } from './records.ts'
import { Rescue } from './rescue.ts'
import { newRun, submit, type SubmitParts } from './submit.ts'
import { StoreHealth } from './store-health.ts'
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
  readonly loop: Executor
  readonly threads: Executor
  /** Runs performed at once; 0: this instance only starts them. */
  readonly concurrency: number
  readonly startFrom: (parent: Parent) => TaskContext['start']
  /** Asked once the store is open: an instance that is shutting down by then must not begin. */
  readonly closing: () => boolean
}

/** How often other processes' work, deaths and cancels are looked for. */
const ROUND = 500

/** Durable runs over a store: the roles, wired. */
export class DurableRuns implements Runs, Starter, Drainable {
  readonly #parts: DurableParts
  readonly #ledger: Ledger
  readonly #watch: Watch
  readonly #presence: Presence
  readonly #worker: Worker
  readonly #submit: SubmitParts
  readonly #rounds: readonly Rounds[]
  #closed = false

  /** Opens the store, makes this instance known, takes back what the dead left, and begins to claim. */
  static async open(parts: DurableParts): Promise<DurableRuns> {
    const liveness = await parts.store.open()
    const ledger = new Ledger(parts.store, parts.clock)
    const presence = new Presence({ ledger, liveness, random: parts.random })
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
    this.#watch = new Watch(store, clock)
    const attempts = new Attempts({ ...parts, ledger, watch: this.#watch })
    const lostReply = (): void => reconcile.lostReply()
    const health = new StoreHealth(channels)
    const worker = new Worker({
      ...parts,
      ledger,
      health,
      attempts,
      instance,
      lostReply,
      reborn: () => presence.join(),
    })
    const reconcile = new Reconcile({ store, ledger, worker, instance })
    this.#worker = worker
    this.#submit = { ledger, worker, instance, lostReply }
    const rescue = new Rescue({ store, ledger, liveness, channels, me: instance, rescued: () => worker.wake() })
    const failed = (error: unknown): void => health.failed(error)
    this.#rounds =
      parts.concurrency === 0
        ? []
        : [rescue, worker, reconcile].map((role) => new Rounds(role, { clock, every: ROUND, failed }))
  }

  /** Answers after the commit, which all of them share; one that cannot be kept keeps all from being started. */
  async start(requests: readonly StartRequest[]): Promise<readonly Started[]> {
    if (this.#closed) throw new ShutdownError()
    const { limits, random } = this.#parts
    const runs = requests.map((request) =>
      newRun(random.runId(), request, { bytes: limits.input, depth: limits.depth }),
    )
    const started = await Promise.all(runs.map((run) => submit(this.#submit, run)))
    // An instance that performs none is told of no end.
    if (this.#parts.concurrency > 0) for (const { id } of started) this.#watch.started(id)
    return started
  }

  /** From a run: once, however often its attempt is repeated. */
  async startChild(request: StartRequest, parent: Parent): Promise<Started> {
    const { name } = request.task
    const { id, remembered } = await childId(parent, { task: name, nth: parent.nth(name) }, () =>
      this.#parts.random.runId(),
    )
    const run = newRun(id, request, { bytes: this.#parts.limits.input, depth: this.#parts.limits.depth })
    const [started] = await Promise.all([submit(this.#submit, run, parent.claim), remembered])
    return started
  }

  async get(id: RunId): Promise<RunSnapshot | undefined> {
    const record = await this.#parts.store.read({ kind: 'find', run: id })
    return record === undefined ? undefined : { run: runOf(record), number: record.number }
  }

  async cancel(id: RunId, reason?: string): Promise<Cancellation | undefined> {
    const record = accepted<'control'>(
      await this.#ledger.add({ kind: 'control', run: id, verb: 'cancel', reason: reason ?? null }),
    )
    if (record === 'unknown') return undefined
    this.#worker.cancel(id, reason)
    this.#watch.changed(id, endOf(record))
    if (record.state === 'canceled') return 'canceled'
    return record.state === 'running' ? 'canceling' : 'finished'
  }

  ended(id: RunId, signal?: AbortSignal): Promise<RunEnd | undefined> {
    return this.#watch.ended(id, () => this.#worker.holds(id), signal)
  }

  watch(id: RunId, options?: { readonly after?: number; readonly signal?: AbortSignal }): AsyncIterable<RunEvent> {
    return this.#watch.follow(id, options)
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
    this.#ledger.close()
    this.#watch.close()
    await Promise.all(this.#rounds.map((rounds) => rounds[Symbol.asyncDispose]()))
    try {
      await this.#presence.leave()
    } finally {
      await this.#parts.store.close()
    }
  }
}

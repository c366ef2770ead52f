import type { Duration } from './core/duration.ts'
import type { JsonOf } from './core/json.ts'
import type { Logger } from './core/logger.ts'
import type { Schedule } from './core/schedule.ts'
import type { RunHandle, StartArgs, StartOptions, Transaction } from './core/start.ts'
import type { AnyTask, Task } from './core/task.ts'
import type { AfterFunction, AfterOptions } from './detached/after.ts'
import type { AcceptOptions, HttpOptions } from './http/contract.ts'
import type { OffstageEvents } from './runtime/channels.ts'
import type { Drained, DrainReport } from './runtime/drain.ts'
import type { OffstageRuns } from './runtime/operate.ts'
import type { Store } from './stores/store.ts'

export type { DrainReport } from './runtime/drain.ts'
export type { OffstageRuns as Runs } from './runtime/operate.ts'
export type { Store } from './stores/store.ts'

export interface OffstageOptions {
  /**
   * The module that exports the tasks (`import.meta.resolve('./tasks.ts')`), its namespace, or a list. Durable tasks must be among them,
   * and tasks with `thread: true` in the module.
   */
  readonly tasks?: string | URL | readonly (AnyTask | Schedule)[] | Readonly<Record<string, unknown>>
  /** `'sqlite:PATH'`, `'memory:'` or a Store. Default: the environment's OFFSTAGE_STORE, else `'sqlite:.offstage/offstage.db'`. Opened when there is a durable task. */
  readonly store?: string | Store
  /** Durable runs performed here at once; `false`: this instance only starts them. Default 16. */
  readonly worker?: boolean | { readonly concurrency?: number }
  /** Runs in memory: 64 at once, 10,000 waiting. */
  readonly memory?: { readonly concurrency?: number; readonly capacity?: number }
  /** Threads for `thread: true`: one less than the machine's cores, at least 1; 10,000 runs in memory waiting for one. */
  readonly threads?: { readonly size?: number; readonly capacity?: number }
  /**
   * How long ended durable runs are kept at least: succeeded '24h', failed and canceled '14d'. `maxBytes`: of the store; beyond it the oldest ended
   * ones go sooner. Default: no bound.
   */
  readonly retention?: {
    readonly succeeded?: Duration
    readonly failed?: Duration
    readonly canceled?: Duration
    readonly maxBytes?: number
  }
  /** At SIGTERM and SIGINT: stop, wait for `grace` ('20s'), abort what is left. `signals: false` leaves signals to the application. */
  readonly shutdown?: { readonly grace?: Duration; readonly signals?: boolean }
  /**
   * A run on the event loop is past its `timeout` and blocks the loop, so that nothing can end it: `'report'` writes a line to stderr, `'exit'`
   * ends the process as well (SIGKILL), for a supervisor to start it anew. Default `'report'`.
   */
  readonly onHang?: 'report' | 'exit'
  /** Bytes of JSON of a durable run's input (256 KiB) and of a result, step or output (1 MiB); levels of nesting (64). */
  readonly limits?: { readonly input?: number; readonly result?: number; readonly depth?: number }
  /** Who may use the routes; closed until something is said. */
  readonly http?: HttpOptions
  /** Default: warnings and errors to stderr. */
  readonly logger?: Logger
}

/** What `close` left behind: runs in memory are gone, durable ones go on elsewhere. */
export interface CloseReport {
  readonly abandoned: readonly Drained[]
}

export interface Offstage extends AsyncDisposable {
  /**
   * Begins a run and answers at once: in memory when it has its place, durable when it is on disk. Its code runs in a later turn.
   * Rejects with OFFSTAGE_OVERLOADED, OFFSTAGE_INVALID_INPUT, OFFSTAGE_NOT_SERIALIZABLE, OFFSTAGE_SHUTDOWN or a store's error: then nothing was started.
   */
  start<I, O>(task: Task<I, O>, ...args: StartArgs<NoInfer<I>>): Promise<RunHandle<O>>
  /** `start`, then its result. */
  execute<I, O>(task: Task<I, O>, ...args: StartArgs<NoInfer<I>>): Promise<O>
  /** Answered in order. Durable ones share their commits, at most 1,000 to each; an input that is refused keeps all from being started. */
  startMany<I, O>(task: Task<I, O>, inputs: readonly NoInfer<I>[], options?: StartOptions): Promise<RunHandle<O>[]>
  /**
   * Starts a durable run within the caller's own transaction: it is there when that commits, and was never there when it rolls back.
   * Until it commits its handle finds no run (OFFSTAGE_RUN_NOT_FOUND). After `await ready`. SQLite: `tx` is a `node:sqlite` connection on the
   * store's file, within a transaction, with `synchronous` FULL. Throws
   * OFFSTAGE_NOT_A_TRANSACTION, OFFSTAGE_STORE_UNSAFE, and OFFSTAGE_BAD_OPTION where the task's schema does not check synchronously.
   */
  startSync<I, O>(task: Task<I, O>, input: NoInfer<I>, options: StartOptions & { tx: Transaction }): RunHandle<O>
  /** Calls the function in a later turn, or after `response`; what it throws is reported, and reaches nobody else. */
  after(fn: AfterFunction, options?: AfterOptions): RunHandle<void>
  /** A run that was started before, perhaps by another process. */
  handle<O>(task: Task<never, O>, id: string): RunHandle<O>
  /**
   * Sends what a durable run's `ctx.waitFor(name)` waits for, or will wait for. Rejects with OFFSTAGE_RUN_NOT_FOUND, OFFSTAGE_RUN_FINISHED,
   * OFFSTAGE_NOT_DURABLE or, for more than 1,000 of a name, OFFSTAGE_OVERLOADED. Where a store's error leaves open whether it was sent, sending it again may send it twice.
   */
  signal<T>(runId: string, name: string, payload?: JsonOf<T>): Promise<void>
  /** A request's answer by a run: 202 with its address, or the problem as JSON. */
  accept<I, O>(request: Request, task: Task<I, O>, options?: AcceptOptions<NoInfer<I>>): Promise<Response>
  /** The runs' own routes, under `http.basePath`. */
  fetch(request: Request): Promise<Response>
  readonly runs: OffstageRuns
  /**
   * Performs what is due, then answers; with `worker: false` too, as a serverless function or a script does it. Default deadline: '10s'.
   * Runs that become due later, or wait for a signal, are not waited for.
   */
  drain(options?: { readonly deadline?: Duration }): Promise<DrainReport>
  /** Listens until the function it returns is called. */
  on<E extends keyof OffstageEvents>(event: E, listener: (event: OffstageEvents[E]) => void): () => void
  /** The tasks are loaded and, where one is durable, the store is open and the worker claims; rejects with a clear error. */
  readonly ready: Promise<void>
  /** Starts nothing more, waits for what is under way, aborts what is left; holds its deadline (default: `shutdown.grace` and a second). */
  close(options?: { readonly deadline?: Duration }): Promise<CloseReport>
}

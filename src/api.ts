import type { Duration } from './core/duration.ts'
import type { JsonOf } from './core/json.ts'
import type { Logger } from './core/logger.ts'
import type { Schedule } from './core/schedule.ts'
import type { RunHandle, StartArgs, StartOptions } from './core/start.ts'
import type { AnyTask, Task } from './core/task.ts'
import type { AfterFunction, AfterOptions } from './detached/after.ts'
import type { AcceptOptions, HttpOptions } from './http/contract.ts'
import type { OffstageEvents } from './runtime/channels.ts'
import type { Drained } from './runtime/drain.ts'
import type { Store } from './stores/store.ts'

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
  /** At SIGTERM and SIGINT: stop, wait for `grace` ('20s'), abort what is left. `signals: false` leaves signals to the application. */
  readonly shutdown?: { readonly grace?: Duration; readonly signals?: boolean }
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
  /** Not available in this version: throws OFFSTAGE_BAD_OPTION. */
  startSync<I, O>(task: Task<I, O>, input: NoInfer<I>, options: StartOptions & { tx: object }): RunHandle<O>
  /** Calls the function in a later turn, or after `response`; what it throws is reported, and reaches nobody else. */
  after(fn: AfterFunction, options?: AfterOptions): RunHandle<void>
  /** A run that was started before, perhaps by another process. */
  handle<O>(task: Task<never, O>, id: string): RunHandle<O>
  /** Not available in this version: rejects with OFFSTAGE_BAD_OPTION. */
  signal<T>(runId: string, name: string, payload?: JsonOf<T>): Promise<void>
  /** A request's answer by a run: 202 with its address, or the problem as JSON. */
  accept<I, O>(request: Request, task: Task<I, O>, options?: AcceptOptions<NoInfer<I>>): Promise<Response>
  /** The runs' own routes, under `http.basePath`. */
  fetch(request: Request): Promise<Response>
  /** Listens until the function it returns is called. */
  on<E extends keyof OffstageEvents>(event: E, listener: (event: OffstageEvents[E]) => void): () => void
  /** The tasks are loaded and, where one is durable, the store is open and the worker claims; rejects with a clear error. */
  readonly ready: Promise<void>
  /** Starts nothing more, waits for what is under way, aborts what is left; holds its deadline (default: `shutdown.grace` and a second). */
  close(options?: { readonly deadline?: Duration }): Promise<CloseReport>
}

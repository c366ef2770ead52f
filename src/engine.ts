import type { Claim, RunId } from './core/claim.ts'
import { OffstageError, ShutdownError } from './core/errors.ts'
import type { Runs, Started, StartRequest } from './core/runs.ts'
import { refuse } from './core/options.ts'
import type { RunHandle, StartArgs, StartOptions } from './core/start.ts'
import type { Task, TaskContext } from './core/task.ts'
import { Detached } from './detached/detached.ts'
import type { Parent } from './durable/attempt.ts'
import { DurableRuns } from './durable/durable-runs.ts'
import type { Channels, OffstageEvents } from './runtime/channels.ts'
import { drain, type Drained, type DrainReport, type Plan } from './runtime/drain.ts'
import { inEmptyContext } from './runtime/empty-context.ts'
import { eventLoop, lazily, type Executor } from './runtime/executor.ts'
import { createHandle } from './runtime/handle.ts'
import { cancelOn, knownTask, mustBePerformable, takeIn, takeInNow } from './runtime/intake.ts'
import { JoinedRuns } from './runtime/joined-runs.ts'
import { LoopWatch } from './runtime/loop-watch.ts'
import { blindMaskOf } from './runtime/mask.ts'
import { loadTasks, type Registry } from './runtime/registry.ts'
import type { Settings } from './runtime/settings.ts'
import { pause, timeoutIn, within } from './runtime/timers.ts'
import { realClock as clock, realRandom as random } from './runtime/world.ts'
import type { Store } from './stores/store.ts'

/** Starts as they were asked for: outside of any run, or by a run's code. */
interface Asked {
  readonly task: unknown
  readonly options: StartOptions | undefined
  readonly from?: From
}
interface From {
  readonly run: RunId
  readonly lend: <T>(wait: () => Promise<T>) => Promise<T>
  /** Of a durable run: children it started before are found again. */
  readonly parent?: Parent
}

/** What was given up; and whether all has ended, threads included, or the deadline came first. */
interface Closed {
  readonly abandoned: readonly Drained[]
  readonly ended: boolean
}

/** Detached, threads and durable, wired: each is there when it is first needed. */
export class Engine {
  readonly runs: JoinedRuns
  readonly #settings: Settings
  readonly #channels: Channels
  readonly #registry: Registry | Promise<Registry>
  /** The same, once it is there. */
  #tasks: Registry | undefined
  readonly #loop: Executor
  readonly #threads: Executor
  readonly #detached: Detached
  #durable: Promise<DurableRuns> | undefined
  #opened: DurableRuns | undefined
  #closing = false

  constructor(settings: Settings, channels: Channels) {
    const { memory, threads } = settings
    this.#settings = settings
    this.#channels = channels
    this.#registry = loadTasks(settings.tasks)
    this.#loop = this.#watchedLoop()
    this.#threads = lazily(threads.size, () => this.#openThreads())
    this.#detached = new Detached({
      clock,
      random,
      channels,
      logger: settings.logger,
      loop: { executor: this.#loop, ...memory, option: 'memory.capacity' },
      threads: {
        executor: this.#threads,
        concurrency: threads.size,
        capacity: threads.capacity,
        option: 'threads.capacity',
      },
      startFrom: (run, lend) => this.#startFrom({ run, lend }),
    })
    this.runs = new JoinedRuns(() => this.#keepers())
  }

  get draining(): boolean {
    return this.#closing
  }

  /** The tasks are loaded and, where this instance performs durable ones, the store is open. */
  async begin(): Promise<void> {
    this.#tasks = await this.#registry
    for (const task of this.#tasks.all) mustBePerformable(task, this.#tasks)
    if (this.#settings.concurrency > 0) await this.ready()
  }

  /** The store is open, where there is a durable task. */
  async ready(): Promise<void> {
    this.#tasks = await this.#registry
    if (await this.#hasDurable()) await this.#openDurable()
  }

  async start(asked: Asked & { readonly input: unknown }): Promise<Started> {
    const [started] = await this.startMany({ ...asked, inputs: [asked.input] })
    return started as Started // one answer for each input
  }

  /** All of them or, where one is refused, none. */
  async startMany({
    task,
    inputs,
    options,
    from,
  }: Asked & { readonly inputs: readonly unknown[] }): Promise<readonly Started[]> {
    if (this.#closing && from === undefined) throw new ShutdownError()
    if (!Array.isArray(inputs)) refuse('startMany(task, inputs)', 'an array', inputs)
    if (inputs.length > 1 && options?.idempotencyKey !== undefined)
      refuse('start.options.idempotencyKey', 'left out where there are several inputs: a key is of one run', inputs)
    const known = knownTask(task, await this.#registry)
    const requests = await Promise.all(
      inputs.map((input) => takeIn({ task: known, input, options, parent: from?.run ?? null })),
    )
    const all = await this.#begin(requests, from)
    for (const { id } of all) cancelOn(options?.signal, this.runs, id)
    return all
  }

  /** Within the caller's transaction: at once, so the store must be open by then. */
  startWithin({ task, input, options }: Asked & { readonly input: unknown }): Started {
    if (this.#closing) throw new ShutdownError()
    if (this.#opened === undefined || this.#tasks === undefined)
      throw new OffstageError(
        'OFFSTAGE_STORE_UNAVAILABLE',
        'The store is not open yet, and `startSync` cannot wait for it. Call it after `await offstage.ready`.',
      )
    const known = knownTask(task, this.#tasks)
    if (!known.durable)
      throw new OffstageError(
        'OFFSTAGE_NOT_DURABLE',
        `\`startSync\` needs \`durable: true\` on the task "${known.name}".`,
      )
    return this.#opened.startWithin(takeInNow({ task: known, input, options, parent: null }))
  }

  /** Performs what is due until nothing is, or the deadline has come. */
  async drain(deadline: number): Promise<DrainReport> {
    const late = new AbortController()
    using _timer = timeoutIn(clock, deadline, () => late.abort())
    const keepers = [this.#detached, ...((await this.#hasDurable()) ? [await this.#openDurable()] : [])]
    const reports = await Promise.all(keepers.map((keeper) => keeper.drain(late.signal)))
    return {
      performed: reports.reduce((sum, { performed }) => sum + performed, 0),
      left: reports.some(({ left }) => left),
    }
  }

  /** A run in memory, not begun before `gate` opens. */
  startDetached(request: StartRequest, gate: Promise<void> | undefined): Started {
    if (this.#closing) throw new ShutdownError()
    return this.#detached.begin(request, gate)
  }

  /** Over the keeper of that task's runs: only a durable store that is not open yet has to be looked for. */
  handle<O>(
    task: { readonly name: string; readonly durable: boolean },
    started: Started,
    lend?: From['lend'],
  ): RunHandle<O> {
    const runs = task.durable ? (this.#opened ?? this.runs) : this.#detached
    return createHandle<O>({ runs, clock, task: task.name, started, lend: lend ?? keep })
  }

  /** Starts nothing more; performs what is left, as far as the deadline goes; says so, and closes everything. */
  async close({ grace, stop, close }: Plan, drainedNow: () => void): Promise<Closed> {
    this.#closing = true
    const begun = clock.monotonic()
    const leftOf = (ms: number): number => Math.max(0, begun + ms - clock.monotonic())
    const opened = this.#durable?.catch(() => undefined)
    const durable = opened && (await within(clock, (grace + stop) / 2, opened))
    const drained = durable === undefined ? [this.#detached] : [this.#detached, durable]
    const abandoned = await drain(drained, { grace: leftOf(grace), stop }, clock)
    const left = (): number => leftOf(grace + stop + close)
    // Whoever follows a run that has just ended is told of its end before the streams close.
    if (this.runs.followers > 0) await pause(clock, Math.min(LAST_LOOK, left()))
    drainedNow()
    const ends = [this.#loop.close(), this.#threads.close(), ...(durable === undefined ? [] : [durable.close()])]
    const ended = await within(clock, left(), Promise.allSettled(ends))
    return { abandoned, ended: ended !== undefined }
  }

  /** Requests of one task. */
  async #begin(requests: readonly StartRequest[], from: From | undefined): Promise<readonly Started[]> {
    if (!requests.some(({ task }) => task.durable)) return this.#detached.start(requests)
    const durable = await this.#openDurable()
    const parent = from?.parent
    return parent === undefined
      ? durable.start(requests)
      : Promise.all(requests.map((request) => durable.startChild(request, parent)))
  }

  #startFrom(from: From): TaskContext['start'] {
    return async <I, O>(task: Task<I, O>, ...[input, options]: StartArgs<NoInfer<I>>) =>
      this.handle<O>(task, await this.start({ task, input, options, from }), from.lend)
  }

  /** Every keeper that may know an id. The store is opened for the question only where a task could have put a run there. */
  async #keepers(): Promise<readonly Runs[]> {
    return (await this.#hasDurable()) ? [this.#detached, await this.#openDurable()] : [this.#detached]
  }

  async #hasDurable(): Promise<boolean> {
    return (await this.#registry).all.some((task) => task.durable)
  }

  /** A store that could not be opened is tried again at the next call. Whatever it starts must not keep the request alive that came first. */
  #openDurable(): Promise<DurableRuns> {
    if (this.#closing && this.#durable === undefined) return Promise.reject(new ShutdownError())
    this.#durable ??= inEmptyContext(async () => {
      try {
        this.#opened = await this.#open()
        return this.#opened
      } catch (error) {
        this.#durable = undefined
        throw error
      }
    })
    return this.#durable
  }

  async #open(): Promise<DurableRuns> {
    const { store: given, logger, limits, concurrency, retention } = this.#settings
    const store =
      typeof given === 'string' ? await (await import('./stores/open.ts')).openStore(given) : (given as Store) // its shape was looked at with the settings
    const startFrom = (parent: Parent): TaskContext['start'] =>
      this.#startFrom({ run: parent.claim.run, lend: (wait) => parent.lend(wait), parent })
    const closing = (): boolean => this.#closing
    const told = { logger, channels: this.#channels }
    const parts = { store, clock, random, limits, concurrency, retention, startFrom, closing, ...told }
    return DurableRuns.open({ ...parts, registry: await this.#registry, loop: this.#loop, threads: this.#threads })
  }

  #watchedLoop(): Executor {
    const { onHang, logger } = this.#settings
    const blocked = (event: OffstageEvents['task:blocking']): void => this.#channels.tell('task:blocking', () => event)
    const broken = (error: unknown): void =>
      logger.warn({ err: error }, 'The event loop is not watched: a task that blocks it for good will not be named.')
    return eventLoop(new LoopWatch({ exits: onHang === 'exit', blocked, broken }))
  }

  async #openThreads(): Promise<Executor> {
    const [{ threadExecutor }, { module, task: taskOf, get: policyNamed }] = await Promise.all([
      import('./threads/executor.ts'),
      this.#registry,
    ])
    const { limits, threads } = this.#settings
    const stray = (claim: Claim, task: string, error: unknown): void =>
      this.#channels.tell('task:stray', () => ({ claim, task, error: blindMaskOf(policyNamed(task)).error(error) }))
    // Without a module no run gets here: it is refused at the door.
    return threadExecutor({ size: threads.size, module: module ?? '', limits, clock, taskOf, stray })
  }
}

/** Whoever waits outside of any run has no place to lend. */
const keep = <T>(wait: () => Promise<T>): Promise<T> => wait()

/** For the last events to be read and sent. */
const LAST_LOOK = 200

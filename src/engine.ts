import type { Claim, RunId } from './core/claim.ts'
import { ShutdownError } from './core/errors.ts'
import type { Runs, Started, StartRequest } from './core/runs.ts'
import type { RunHandle, StartArgs, StartOptions } from './core/start.ts'
import type { Task, TaskContext } from './core/task.ts'
import { Detached } from './detached/detached.ts'
import type { Parent } from './durable/attempt.ts'
import { DurableRuns } from './durable/durable-runs.ts'
import type { Channels } from './runtime/channels.ts'
import { drain, type Drained } from './runtime/drain.ts'
import { inEmptyContext } from './runtime/empty-context.ts'
import { eventLoop, lazily, type Executor } from './runtime/executor.ts'
import { createHandle } from './runtime/handle.ts'
import { cancelOn, knownTask, mustBePerformable, takeIn } from './runtime/intake.ts'
import { JoinedRuns } from './runtime/joined-runs.ts'
import { loadTasks, type Registry } from './runtime/registry.ts'
import type { Settings } from './runtime/settings.ts'
import { pause, within } from './runtime/timers.ts'
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

/** Detached, threads and durable, wired: each is there when it is first needed. */
export class Engine {
  readonly runs: JoinedRuns
  readonly #settings: Settings
  readonly #channels: Channels
  readonly #registry: Registry | Promise<Registry>
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
    this.#threads = lazily(threads.size, () => this.#openThreads())
    this.#detached = new Detached({
      clock,
      random,
      channels,
      logger: settings.logger,
      loop: { executor: eventLoop, ...memory, option: 'memory.capacity' },
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
  async ready(): Promise<void> {
    const { all } = await this.#registry
    for (const task of all) mustBePerformable(task, await this.#registry)
    if (this.#settings.concurrency > 0 && all.some((task) => task.durable)) await this.#openDurable()
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
    const known = knownTask(task, await this.#registry)
    const requests = await Promise.all(
      inputs.map((input) => takeIn({ task: known, input, options, parent: from?.run ?? null })),
    )
    const all = await this.#begin(requests, from)
    for (const { id } of all) cancelOn(options?.signal, this.runs, id)
    return all
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
  async close(deadline: number, drainedNow: () => void): Promise<readonly Drained[]> {
    this.#closing = true
    const until = clock.monotonic() + deadline
    const left = (): number => Math.max(0, until - clock.monotonic())
    const durable =
      this.#durable &&
      (await within(
        clock,
        left() / 2,
        this.#durable.catch(() => undefined),
      ))
    const drained = durable === undefined ? [this.#detached] : [this.#detached, durable]
    const abandoned = await drain(drained, Math.max(0, left() - Math.min(LAST_WORDS, deadline / 5)), clock)
    // Whoever follows a run that has just ended is told of its end before the streams close.
    if (this.runs.followers > 0) await pause(clock, Math.min(LAST_LOOK, left()))
    drainedNow()
    const ends = [this.#threads.close(), ...(durable === undefined ? [] : [durable.close()])]
    await within(clock, left(), Promise.allSettled(ends))
    return abandoned
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
    const { all } = await this.#registry
    return all.some((task) => task.durable) ? [this.#detached, await this.#openDurable()] : [this.#detached]
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
    const { store: given, logger, limits, concurrency } = this.#settings
    const store =
      typeof given === 'string' ? await (await import('./stores/open.ts')).openStore(given) : (given as Store) // its shape was looked at with the settings
    const startFrom = (parent: Parent): TaskContext['start'] =>
      this.#startFrom({ run: parent.claim.run, lend: (wait) => parent.lend(wait), parent })
    const closing = (): boolean => this.#closing
    const parts = { store, clock, random, logger, limits, concurrency, startFrom, closing, channels: this.#channels }
    return DurableRuns.open({ ...parts, registry: await this.#registry, loop: eventLoop, threads: this.#threads })
  }

  async #openThreads(): Promise<Executor> {
    const [{ threadExecutor }, { module, task: taskOf }] = await Promise.all([
      import('./threads/executor.ts'),
      this.#registry,
    ])
    const { limits, threads } = this.#settings
    const stray = (claim: Claim, task: string, error: unknown): void =>
      this.#channels.tell('task:stray', () => ({ claim, task, error }))
    // Without a module no run gets here: it is refused at the door.
    return threadExecutor({ size: threads.size, module: module ?? '', limits, clock, taskOf, stray })
  }
}

/** Whoever waits outside of any run has no place to lend. */
const keep = <T>(wait: () => Promise<T>): Promise<T> => wait()

/** For the last events to be read and sent. */
const LAST_LOOK = 200

/** Kept of a deadline for closing what was drained: at most that, and at most a fifth. */
const LAST_WORDS = 500

import type { Clock } from '../../src/core/clock.ts'
import type { InstanceId } from '../../src/core/claim.ts'
import { ShutdownError } from '../../src/core/errors.ts'
import type { Liveness } from '../../src/core/liveness.ts'
import type { Random } from '../../src/core/random.ts'
import type { RunHandle } from '../../src/core/start.ts'
import type { TaskPolicy } from '../../src/core/task.ts'
import { DurableRuns } from '../../src/durable/durable-runs.ts'
import { Channels } from '../../src/runtime/channels.ts'
import { drain, type Plan } from '../../src/runtime/drain.ts'
import type { Executor } from '../../src/runtime/executor.ts'
import { createHandle } from '../../src/runtime/handle.ts'
import { takeIn } from '../../src/runtime/intake.ts'
import type { Registry } from '../../src/runtime/registry.ts'
import { within } from '../../src/runtime/timers.ts'
import type { Dice } from './dice.ts'
import type { Scheduler, Witness } from './scheduler.ts'
import { Wire, type WireParts } from './wire.ts'

/** What the processes of one world share. */
export interface ProcessParts extends WireParts {
  readonly scheduler: Scheduler
  /** For what the engine draws itself. */
  readonly chance: Dice
  /** The wall clock of the machine. */
  readonly wall: () => number
  /** Who began under which id: what the kernel, or a heartbeat, knows. */
  readonly instances: Map<InstanceId, Process>
  readonly ids: { run: number; instance: number }
  /** Others go by a heartbeat, which a process that is held up or cut off misses; else by the kernel, which knows. */
  readonly byHeartbeat: boolean
  /** The code of the tasks, as this process performs it. */
  readonly tasks: (process: Process) => readonly TaskPolicy[]
}

/** What one process is there for. */
export interface Part {
  /** 0: it only starts runs. */
  readonly concurrency: number
  /** Tasks that its version of the code does not have: it starts them, and performs none of them. */
  readonly lacks: ReadonlySet<string>
}

const LIMITS = { input: 256 * 1024, result: 1024 * 1024, depth: 64 }
/** The event loop, without the watch that needs real time. */
const LOOP: Executor = {
  free: Number.POSITIVE_INFINITY,
  run: async ({ task, input, context, begins }) => {
    begins?.()
    return await task.run(input, context)
  },
  leave: () => {},
  enter: () => {},
  close: async () => {},
}
const NO_THREADS: Executor = { ...LOOP, free: 0 }
/** Longer than any wall clock jumps. */
const KEPT = 100 * 86_400_000
const RETENTION = { succeeded: KEPT, failed: KEPT, canceled: KEPT, maxBytes: null }
const NOTHING_LOGGED = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
/** How long a process has that must end. */
const HASTE: Plan = { grace: 3_000, stop: 1_000, close: 500 }
/** … and one that has all the time that it needs. */
export const LEISURE: Plan = { grace: 30_000, stop: 1_000, close: 5_000 }

/** One process from its start to its end: the engine over its own wire, clock and chance. */
export class Process implements Witness {
  readonly name: string
  readonly channels = new Channels((error) => this.#parts.scheduler.fail(error))
  gone = false
  paused = false
  closing = false
  /** The store was told that it leaves. */
  left = false
  /** It reaches no store. */
  cut = false
  /** The others have not heard its heartbeat for so long that they hold it for dead. */
  silent = false
  /** What of that has ever been. */
  wasSilent = false
  /** When it last went on after a pause. */
  wentOn = -1
  id: InstanceId = ''
  /** Attempts whose code has not come to its end. */
  performing = 0
  /** Code ran on after its attempt was over: what it then tells may leave a timer behind. */
  outlived = false
  readonly #parts: ProcessParts
  readonly #part: Part
  readonly #policies: ReadonlyMap<string, TaskPolicy>
  #runs: DurableRuns | undefined
  #turn = 0
  #armed = 0

  constructor(parts: ProcessParts, by: { readonly name: string; readonly part: Part }) {
    this.name = by.name
    this.#parts = parts
    this.#part = by.part
    this.#policies = new Map(parts.tasks(this).map((policy) => [policy.name, policy]))
  }

  /** Timers that were neither fired nor disposed, where no code of a task may have armed them after its time. */
  get armed(): number {
    return this.outlived || this.performing > 0 ? 0 : this.#armed
  }

  /** It is open and takes what it is given. */
  get ready(): boolean {
    return this.#runs !== undefined && !this.closing && !this.gone
  }

  /** Opens; where the store refuses, again a moment later. */
  async open(): Promise<void> {
    while (!this.closing) {
      try {
        this.#runs = await DurableRuns.open({
          store: new Wire(this.#parts, { process: this, liveness: this.#liveness() }),
          clock: this.clock,
          random: this.#random,
          logger: NOTHING_LOGGED,
          channels: this.channels,
          registry: this.#registry(),
          limits: LIMITS,
          retention: RETENTION,
          loop: LOOP,
          threads: NO_THREADS,
          concurrency: this.#part.concurrency,
          startFrom:
            (parent) =>
            async (task, ...[input, options]) => {
              const request = { task: this.#policy(task.name), input, options, parent: parent.claim.run }
              const runs = this.#opened
              const started = await runs.startChild(await takeIn(request), parent)
              const lend = <T>(wait: () => Promise<T>): Promise<T> => parent.lend(wait)
              return createHandle({ runs, clock: this.clock, task: task.name, started, lend })
            },
          closing: () => this.closing,
        })
        return
      } catch (error) {
        if (error instanceof ShutdownError) return
        await this.wait(100, 'tries to open again')
      }
    }
  }

  async start(task: string, input: unknown, options: object): Promise<RunHandle<unknown>> {
    const request = await takeIn({ task: this.#policy(task), input, options, parent: null })
    const [started] = await this.#opened.start([request])
    if (started === undefined) throw new Error('no answer to a start')
    return this.#handle(task, started)
  }

  handle(task: string, id: string): RunHandle<unknown> {
    return this.#handle(task, { id, disposition: 'existing' })
  }

  /** Whether the run took it; one that has ended does not. */
  async signal(id: string, name: string, payload: unknown): Promise<boolean> {
    return (await this.#opened.signal(id, name, payload)) === true
  }

  /** As a program closes it before it exits. Whether all of it closed in time. */
  async close(plan: Plan = HASTE): Promise<boolean> {
    this.closing = true
    const runs = this.#runs
    if (runs === undefined) return false
    const abandoned = await drain([runs], plan, this.clock)
    const closed = await within(this.clock, plan.close, Promise.allSettled([runs.close()]))
    return closed !== undefined && abandoned.length === 0
  }

  /** The code of a task waits for something of its own. */
  wait(ms: number, what: string): Promise<void> {
    return new Promise((resolve) => {
      const { scheduler } = this.#parts
      scheduler.plan({ at: scheduler.now + ms, actor: this, what }, resolve)
    })
  }

  readonly clock: Clock = {
    now: () => this.#parts.wall(),
    monotonic: () => this.#parts.scheduler.now,
    timer: (ms, call) => {
      const { scheduler, dice } = this.#parts
      this.#armed++
      const after = (ms <= 2 ** 31 - 1 ? Math.max(ms, 1) : 1) + dice.fraction()
      const timer = scheduler.plan({ at: scheduler.now + after, actor: this, what: 'timer', about: ms }, () => {
        this.#armed--
        call()
      })
      return {
        [Symbol.dispose]: () => {
          if (timer.call !== undefined) this.#armed--
          timer[Symbol.dispose]()
        },
      }
    },
    nextTurn: (call) => {
      const { scheduler, dice } = this.#parts
      // A turn is short, now and then it is not: whatever ran before took its time.
      this.#turn = Math.max(this.#turn, scheduler.now + dice.fraction() * dice.pick([0.01, 0.1, 3]))
      scheduler.plan({ at: this.#turn, actor: this, what: 'turn' }, call)
    },
  }

  readonly #random: Random = {
    runId: () => `01990000-0000-7000-8000-${(++this.#parts.ids.run).toString(16).padStart(12, '0')}`,
    instanceId: () => (++this.#parts.ids.instance).toString(16).padStart(32, '0'),
    fraction: () => this.#parts.chance.fraction(),
  }

  #liveness(): Liveness {
    const { instances, byHeartbeat } = this.#parts
    const isDead = (id: InstanceId): boolean => {
      const process = instances.get(id)
      if (process === undefined) return false
      return process.gone || (byHeartbeat && (process.silent || process.id !== id))
    }
    return {
      begin: (id) => {
        this.id = id
        instances.set(id, this)
        return { id, pid: 1, boot: '', began: '', pidNamespace: '' }
      },
      beat: () => {},
      dead: (others) => others.map(({ id }) => id).filter(isDead),
      end: () => {},
    }
  }

  #registry(): Registry {
    const all = [...this.#policies.values()].filter(({ name }) => !this.#part.lacks.has(name))
    const get = (name: string): TaskPolicy | undefined => all.find((policy) => policy.name === name)
    return { module: undefined, all, get, task: () => undefined }
  }

  #policy(name: string): TaskPolicy {
    const policy = this.#policies.get(name)
    if (policy === undefined) throw new Error(`There is no task "${name}".`)
    return policy
  }

  get #opened(): DurableRuns {
    if (this.#runs === undefined) throw new Error(`${this.name} is not open.`)
    return this.#runs
  }

  #handle(task: string, started: { readonly id: string; readonly disposition: 'created' | 'existing' | 'replaced' }) {
    const lend = <T>(wait: () => Promise<T>): Promise<T> => wait()
    return createHandle<unknown>({ runs: this.#opened, clock: this.clock, task, started, lend })
  }
}

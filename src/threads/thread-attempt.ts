import { inspect } from 'node:util'
import type { Clock } from '../core/clock.ts'
import { claimText } from '../core/claim.ts'
import { FencedError, OffstageError } from '../core/errors.ts'
import { toFailure } from '../core/failure.ts'
import type { Logger, LogLevel } from '../core/logger.ts'
import { notBuilt, refuse } from '../core/options.ts'
import type { Parking } from '../core/outcome.ts'
import { encode, type PayloadLimit, type PayloadLimits } from '../core/payload.ts'
import type { ProgressRecord, RunError } from '../core/run.ts'
import type { RunHandle, StartOptions } from '../core/start.ts'
import {
  policyOf,
  type AnyTask,
  type DurableContext,
  type OwnTransaction,
  type TaskContext,
  type TaskPolicy,
} from '../core/task.ts'
import { flowOf, type Flow } from '../flow/flow.ts'
import type { Journal } from '../flow/journal.ts'
import { createContext } from '../runtime/context.ts'
import { Ending } from '../runtime/ending.ts'
import type { Registry } from '../runtime/registry.ts'
import { asOrigin } from '../runtime/stray-failures.ts'
import { Throttle } from '../runtime/throttle.ts'
import { childHandle } from './child-handle.ts'
import {
  notCloneable,
  revive,
  type Abort,
  type Ask,
  type Asks,
  type FromThread,
  type OfCall,
  type Perform,
} from './protocol.ts'

/** Progress is for eyes: more of it would only keep the other side's event loop busy. */
const PROGRESS_EVERY = 100

/** What a thread gives its attempts. */
export interface Inside {
  readonly say: (message: FromThread) => void
  readonly ask: Ask
  readonly tasks: Registry
  readonly limits: PayloadLimits
  readonly clock: Clock
}

/** What the race between the code's end and its waiting came to. */
class Parked {
  readonly parking: Parking
  constructor(parking: Parking) {
    this.parking = parking
  }
}

/** One attempt on this thread. What its code asks of its context becomes a message. */
export class ThreadAttempt {
  readonly #inside: Inside
  readonly #given: Perform
  readonly #ending = new Ending()
  readonly #progress: Throttle<ProgressRecord>
  readonly #began: number
  readonly #parked = Promise.withResolvers<Parked>()
  #flow: Flow | undefined
  #toldAt = Number.NEGATIVE_INFINITY

  constructor(given: Perform, inside: Inside) {
    this.#given = given
    this.#inside = inside
    this.#began = inside.clock.monotonic()
    this.#progress = new Throttle(inside.clock, PROGRESS_EVERY, (progress) => this.#tell(progress))
  }

  /** Never rejects: how it ended is said. */
  async run(): Promise<void> {
    const { call, claim, task, input } = this.#given
    const what = `The result of the task "${task}"`
    try {
      const policy = this.#policy()
      const report = (_: unknown, error: unknown): void =>
        this.#inside.say({ kind: 'stray', claim, task, failure: toFailure(error) })
      const ended = asOrigin({ claim, task, report }, async () => policy.run(input, this.#context(policy)))
      const value = await Promise.race([ended, this.#parked.promise])
      if (policy.durable && !(value instanceof Parked)) encode(value, what, this.#limit('result'))
      this.#progress.flush()
      if (value instanceof Parked) this.#inside.say({ kind: 'parked', call, parking: value.parking })
      else this.#send({ kind: 'returned', call, value }, what)
    } catch (error) {
      this.#progress.flush()
      this.#inside.say({ kind: 'threw', call, failure: toFailure(error) })
    }
  }

  abort({ call, reason }: Abort): void {
    if (call === this.#given.call) this.#ending.abort(revive(reason))
  }

  #policy(): TaskPolicy {
    const { tasks } = this.#inside
    const policy = tasks.get(this.#given.task)
    if (policy?.thread) return policy
    throw new OffstageError(
      'OFFSTAGE_UNKNOWN_TASK',
      `The tasks module ${tasks.module} exports no task named "${this.#given.task}" with \`thread: true\`. On a thread a task is found there, by its name.`,
    )
  }

  #context(policy: TaskPolicy): DurableContext {
    const { claim, task, tx } = this.#given
    const start: TaskContext['start'] = (child, ...[given, options]) => this.#start(child, given, options)
    return createContext({
      claim,
      task,
      ending: this.#ending,
      logger: this.#logger(),
      progress: (progress) => this.#push(progress),
      emit: (data) => this.#emit(data, policy),
      start: policy.durable ? (child, ...args) => this.#remembered.during(() => start(child, ...args)) : start,
      ...(policy.durable ? { flow: () => this.#remembered } : {}),
      ...(tx ? { tx: () => this.#tx } : {}),
    })
  }

  get #remembered(): Flow {
    return (this.#flow ??= this.#flowOf())
  }

  #flowOf(): Flow {
    const { call, claim, task, now } = this.#given
    const { clock } = this.#inside
    const journal: Journal = {
      recall: (name) => this.#ask('recall', { call, name }),
      record: (name, result) => this.#ask('record', { call, name, result }),
      park: (parking) => {
        this.#parked.resolve(new Parked(parking))
        this.#ending.abort(new FencedError(claimText(claim)))
      },
      now: () => (now ?? 0) + clock.monotonic() - this.#began,
    }
    const { signal } = this.#ending
    return flowOf({ journal, claim, task, signal, limit: this.#limit('result'), clock })
  }

  readonly #tx: OwnTransaction = Object.freeze({
    query: (text: string, values?: readonly unknown[]) =>
      this.#ask('tx.query', { call: this.#given.call, text, values }),
  })

  #push(progress: ProgressRecord): void {
    this.#progress.push(progress)
    // The throttle's timer never fires while code blocks this thread.
    if (this.#inside.clock.monotonic() - this.#toldAt >= PROGRESS_EVERY) this.#progress.flush()
  }

  #tell(progress: ProgressRecord): void {
    this.#toldAt = this.#inside.clock.monotonic()
    this.#inside.say({ kind: 'progress', call: this.#given.call, progress })
  }

  #emit(data: unknown, { name, durable }: TaskPolicy): void {
    const what = `An output of the task "${name}"`
    if (durable) encode(data, what, this.#limit('result'))
    this.#send({ kind: 'output', call: this.#given.call, data }, what)
  }

  async #start<O>(task: AnyTask, input: unknown, options: StartOptions | undefined): Promise<RunHandle<O>> {
    const {
      name,
      durable,
      input: schema,
    } = policyOf(task) ?? refuse('ctx.start(task)', 'a task, as task() returns it', task)
    if (options?.signal !== undefined) notBuilt('ctx.start(task, input, { signal }) on a thread')
    // What a schema takes need not be JSON: our side asks it.
    if (durable && schema === undefined) encode(input, `The input of the task "${name}"`, this.#limit('input'))
    const { call } = this.#given
    const started = await this.#ask('start', { call, task: name, input, options })
    return childHandle<O>({ call, task: name, started, ask: (kind, body) => this.#ask(kind, body) })
  }

  /** Durable values are held to it here: on the other side an instance of a class is a plain object. */
  #limit(of: 'input' | 'result'): PayloadLimit {
    const { limits } = this.#inside
    return { bytes: limits[of], depth: limits.depth }
  }

  async #ask<K extends keyof Asks>(kind: K, body: Asks[K][0]): Promise<Asks[K][1]> {
    try {
      return await this.#inside.ask(kind, body)
    } catch (error) {
      // What was thrown here could not be sent; what the other side threw comes as a record.
      throw error instanceof Error
        ? notCloneable(`What was given to \`ctx.${kind}\``, error)
        : revive(error as RunError)
    }
  }

  #send(message: OfCall, what: string): void {
    try {
      this.#inside.say(message)
    } catch (cause) {
      throw notCloneable(what, cause)
    }
  }

  #logger(): Logger {
    const line =
      (level: LogLevel) =>
      (fields: object, message?: string): void =>
        this.#log(level, fields, message)
    return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
  }

  #log(level: LogLevel, fields: object, message: string | undefined): void {
    const { call } = this.#given
    try {
      this.#inside.say({ kind: 'log', call, level, fields, message })
    } catch {
      // A line of a log is no reason to fail: as text, everything can be sent.
      this.#inside.say({ kind: 'log', call, level, fields: { fields: inspect(fields) }, message })
    }
  }
}

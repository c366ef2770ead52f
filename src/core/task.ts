import { milliseconds, type Duration } from './duration.ts'
import type { Json, JsonOf, OnlyJson } from './json.ts'
import type { Logger } from './logger.ts'
import { boolean, callable, isObject, oneOf, optional, refuse, shape, text, whole, type Parser } from './options.ts'
import { parseRetry, type RetryOptions, type RetryPolicy } from './retry.ts'
import type { Progress } from './run.ts'
import type { RunHandle, StartArgs } from './start.ts'
import type { StandardSchemaV1 } from './schema.ts'

/** A task, as the caller sees it: I is what `start` takes, O what the run comes to. */
export interface Task<in I, out O> {
  readonly name: string
  readonly durable: boolean
  readonly thread: boolean
  /** For the compiler alone, as in Standard Schema; never set. */
  readonly '~types'?: (input: I) => O
}
/** Any task at all: what a list of tasks holds. */
export type AnyTask = Task<never, unknown>

export interface TaskDefinition<P, O, D extends boolean = boolean, I = P> {
  /** 1–200 of A–Z a–z 0–9 . _ : / - ; unique among an Offstage's tasks. Durable runs find their task by it. */
  readonly name: string
  /** On disk before `start` answers; repeated until it has a recorded end. Default false. */
  readonly durable?: D
  /** Its code runs on a worker thread. Default false. */
  readonly thread?: boolean
  /** Any Standard Schema (Zod, Valibot, ArkType …): asked once, at the door. What it answers is stored, and is what `run` gets. */
  readonly input?: StandardSchemaV1<I, P>
  readonly run: (input: P, ctx: D extends true ? DurableContext : TaskContext) => O | Promise<O>
  /** Not available in this version: refused. */
  readonly concurrency?: number | { limit: number; key?: (input: P) => string }
  /** Default 10 attempts for a durable task (1 s doubling to 1 h, jittered), 1 in memory. */
  readonly retry?: RetryOptions
  /** Default 'default'. */
  readonly queue?: string
  /** −32768…32767, higher first. Default 0. */
  readonly priority?: number
  /** Of one attempt: from its first line or, of a durable run, from its claim. Default '1h' for a durable task, none in memory. */
  readonly timeout?: Duration
  /** What becomes of an attempt whose process died. Default 'retry'. */
  readonly onCrash?: 'retry' | 'fail'
  /** Runs are claimed by instances that registered their name and version. Default 1. */
  readonly version?: number
  /** Waiting input of a lower version → this version's: with it, the runs of lower versions are claimed too. Asked at each attempt; it must be pure. */
  readonly upcast?: (input: Json, from: number) => Json
  /** JSON Pointers (RFC 6901) into input, result and steps that `runs.details` does not show; what they name in the input is in no log line and no event either. Whoever may read the run over HTTP sees his own. */
  readonly redact?: readonly string[]
}

/** What a task's code is given beside its input. */
export interface TaskContext {
  /** Of the run: the same in every attempt. */
  readonly id: string
  /** 1 for the first; it only grows. */
  readonly attempt: number
  /** Fires with a TimeoutError, CanceledError, ShutdownError or FencedError as its reason. */
  readonly signal: AbortSignal
  /** Its lines carry run, task and attempt. */
  readonly log: Logger
  /** A number is a fraction 0–1. Kept at most four times a second, the last always. */
  progress(p: number | Progress): void
  /** A piece of output, streamed to whoever follows the run, in order. The last 1,000 events of a run are kept. */
  emit<T>(data: JsonOf<T>): void
  /** A child run: its `parent` is this one. A repeated attempt finds the durable child that it started before. */
  start<I, O>(task: Task<I, O>, ...args: StartArgs<NoInfer<I>>): Promise<RunHandle<O>>
}

export interface DurableContext extends TaskContext {
  /** Runs `fn` once: its JSON result is on disk before `step` answers, and later attempts get it from there. Names are unique in a run. */
  step<T>(name: string, fn: (step: StepContext) => JsonOf<T> | Promise<JsonOf<T>>): Promise<T>
  /**
   * Gives the run's place back until then; names are unique in a run. It is called again from its first line afterwards, with the results
   * of its finished steps: what stands before a sleep belongs into a step. It counts as no try. Never race it: a wait that was begun parks the
   * run, also where something else was quicker; bound a step by its own signal, a child by `result({ timeout })`.
   */
  sleep(name: string, until: Duration | Date): Promise<void>
  /**
   * The payload of the signal that `offstage.signal(run, name, payload)` sent or will send, as `sleep` waits. The n-th call of a name gets
   * the n-th signal of it. Rejects with TimeoutError where none came within `timeout` (in later tries too, until a rerun: catch it), and with OFFSTAGE_INVALID_INPUT where `schema` refuses it.
   */
  waitFor<T = Json>(signal: string, options?: WaitOptions<T>): Promise<T>
  /** Written here, committed with the run's end, exactly once or, where the run does not succeed, not at all. Absent where the store has no transactions (memory). */
  readonly tx?: OwnTransaction | undefined
}

export interface WaitOptions<T> {
  /** Default: for ever. */
  readonly timeout?: Duration
  readonly schema?: StandardSchemaV1<unknown, T>
}

/**
 * SQLite: statements that write, kept until the run's end and carried out in its transaction; one that reads is refused, and `rows` is
 * empty. A statement that fails there fails the attempt.
 */
export interface OwnTransaction {
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rows: readonly unknown[] }>
}

export interface StepContext {
  readonly signal: AbortSignal
  /** The same in every attempt: for systems that recognise a repeat by a key. */
  readonly idempotencyKey: string
}

/** A task's definition, checked and frozen: what the engine works with. */
export interface TaskPolicy {
  readonly name: string
  readonly durable: boolean
  readonly thread: boolean
  readonly input: StandardSchemaV1<unknown, unknown> | undefined
  readonly run: (input: unknown, context: TaskContext) => unknown
  readonly queue: string
  readonly priority: number
  readonly retry: RetryPolicy
  readonly timeout: number | null
  readonly onCrash: 'retry' | 'fail'
  readonly version: number
  readonly upcast: ((input: Json, from: number) => Json) | undefined
  readonly redact: readonly string[]
}

const NAME = /^[A-Za-z0-9._:/-]{1,200}$/
const HOUR = 3_600_000

export const priority: Parser<number> = whole(-32_768, 32_767)

const taskName: Parser<string> = (value, at) =>
  typeof value === 'string' && NAME.test(value)
    ? value
    : refuse(at, '1 to 200 characters of A–Z a–z 0–9 . _ : / -', value)

export const schema: Parser<StandardSchemaV1<unknown, unknown>> = (value, at) => {
  // ArkType's schemas are functions.
  const standard =
    isObject(value) || typeof value === 'function' ? (value as Record<string, unknown>)['~standard'] : undefined
  if (!isObject(standard) || typeof standard['validate'] !== 'function')
    refuse(at, 'a Standard Schema (https://standardschema.dev)', value)
  return value as StandardSchemaV1<unknown, unknown> // its one method was just looked at
}

const run: Parser<TaskPolicy['run']> = (value, at) => callable(value, at) as TaskPolicy['run'] // the input was checked or is taken at the caller's word

const upcast: Parser<NonNullable<TaskPolicy['upcast']>> = (value, at) =>
  callable(value, at) as NonNullable<TaskPolicy['upcast']> // a function's type cannot be checked

/** https://www.rfc-editor.org/rfc/rfc6901: empty for the whole, or each part after a slash. */
const POINTER = /^(?:\/(?:[^~/]|~[01])*)*$/
const pointers: Parser<readonly string[]> = (value, at) =>
  Array.isArray(value)
    ? Object.freeze(
        value.map((one: unknown, index) =>
          typeof one === 'string' && POINTER.test(one)
            ? one
            : refuse(`${at}[${index}]`, "a JSON Pointer such as '/card/number'", one),
        ),
      )
    : refuse(at, 'an array of JSON Pointers', value)

const UNBUILT = ['concurrency', 'rate', 'unique', 'expose'] as const

function parseTask(definition: unknown): TaskPolicy {
  const name = isObject(definition) ? taskName(definition['name'], 'name') : '?'
  const durable = isObject(definition) && definition['durable'] === true
  return shape(
    {
      name: taskName,
      durable: optional(boolean, false),
      thread: optional(boolean, false),
      input: optional(schema, undefined),
      run,
      queue: optional(text, 'default'),
      priority: optional(priority, 0),
      retry: (value, at) => parseRetry(value, at, durable ? 10 : 1),
      timeout: optional(milliseconds, durable ? HOUR : null),
      onCrash: optional(oneOf('retry', 'fail'), 'retry'),
      version: optional(whole(1), 1),
      upcast: optional(upcast, undefined),
      redact: optional(pointers, []),
    },
    UNBUILT,
  )(definition, `task(${name})`)
}

/** Shared by every copy of this module in a process: a bundle and its source may both define tasks. */
const POLICY = Symbol.for('offstage.task')

/**
 * A task is a plain value: defining one opens nothing, registers nothing, starts nothing.
 * Throws OFFSTAGE_BAD_OPTION for a definition that is not one.
 */
export function task<P = void, O = void, D extends boolean = false, I = P>(
  definition: TaskDefinition<P, O, D, I> &
    ([D] extends [false]
      ? unknown
      : OnlyJson<P, 'durable: the input must be JSON'> & OnlyJson<O, 'durable: the result must be JSON'>),
): Task<I, O> {
  const policy = parseTask(definition)
  const value = { name: policy.name, durable: policy.durable, thread: policy.thread }
  return Object.freeze(Object.defineProperty(value, POLICY, { value: policy }))
}

/** The definition behind a task; undefined for anything else. */
export const policyOf = (value: unknown): TaskPolicy | undefined =>
  isObject(value) && POLICY in value ? (value as { readonly [POLICY]: TaskPolicy })[POLICY] : undefined

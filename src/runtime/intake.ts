import { milliseconds } from '../core/duration.ts'
import { OffstageError } from '../core/errors.ts'
import { fingerprintOf } from '../core/idempotency.ts'
import { isObject, optional, refuse, shape, text, texts, type Parser } from '../core/options.ts'
import { encode, type PayloadLimit } from '../core/payload.ts'
import type { RunId } from '../core/claim.ts'
import type { ParsedStartOptions, Runs, StartRequest } from '../core/runs.ts'
import { validated, validatedNow, type Checked } from '../core/schema.ts'
import type { Transaction } from '../core/start.ts'
import { policyOf, priority, type TaskPolicy } from '../core/task.ts'
import { inEmptyContext } from './empty-context.ts'
import type { Registry } from './registry.ts'

const moment: Parser<number> = (value, at) =>
  value instanceof Date && !Number.isNaN(value.getTime()) ? value.getTime() : refuse(at, 'a valid Date', value)

const signal: Parser<AbortSignal> = (value, at) =>
  value instanceof AbortSignal ? value : refuse(at, 'an AbortSignal', value)

/** These are part of every read of a run, and no place for data. */
const LONGEST = 255
const MOST_TAGS = 32

const short: Parser<string> = (value, at) =>
  text(value, at).length <= LONGEST ? text(value, at) : refuse(at, `a text of at most ${LONGEST} characters`, value)

const fewTexts: Parser<readonly string[]> = (value, at) => {
  const given = texts(value, at)
  if (given.length > MOST_TAGS) refuse(at, `at most ${MOST_TAGS} texts`, value)
  for (const [index, one] of given.entries()) short(one, `${at}[${index}]`)
  return given
}

const VISIBLE = /^[!-~]{1,255}$/
const key: Parser<string> = (value, at) =>
  typeof value === 'string' && VISIBLE.test(value) ? value : refuse(at, '1 to 255 visible ASCII characters', value)

const transaction: Parser<Transaction> = (value, at) =>
  isObject(value) ? value : refuse(at, 'a connection that is within a transaction', value)

const parseOptions = shape(
  {
    delay: optional(milliseconds, null),
    at: optional(moment, null),
    priority: optional(priority, null),
    queue: optional(short, null),
    owner: optional(short, null),
    tags: optional(fewTexts, [] as readonly string[]),
    idempotencyKey: optional(key, null),
    tx: optional(transaction, undefined),
    signal: optional(signal, undefined),
  },
  ['webhook', 'transfer'],
)

/** Most starts say nothing: parsed once. */
const NOTHING = parseOptions({}, 'start.options')

interface Given {
  readonly task: TaskPolicy
  readonly input: unknown
  readonly options: unknown
  readonly parent: RunId | null
}

/** What was given to `start`, checked at the door: the options parsed, the input as the task's schema answered. */
export async function takeIn(given: Given): Promise<StartRequest> {
  const { task } = given
  const options = optionsOf(given)
  const input = task.input === undefined ? given.input : await validated(task.input, given.input, inputOf(task))
  options.signal?.throwIfAborted()
  return requestOf(given, options, input)
}

/** The same at once: for a start within the caller's transaction. */
export function takeInNow(given: Given): StartRequest {
  const { task } = given
  const input = task.input === undefined ? given.input : validatedNow(task.input, given.input, inputOf(task))
  return requestOf(given, optionsOf(given), input)
}

type Options = ReturnType<typeof parseOptions>

function optionsOf(given: Given): Options {
  const options = given.options === undefined ? NOTHING : parseOptions(given.options, 'start.options')
  if (options.delay !== null && options.at !== null)
    refuse('start.options', 'given `delay` or `at`, not both', given.options)
  if (options.tx !== undefined && options.signal !== undefined)
    refuse('start.options.signal', 'left out together with `tx`: nobody knows when that commits', options.signal)
  options.signal?.throwIfAborted()
  return options
}

/** The fingerprint is of what was sent: a schema's defaults may change with a deploy and must not make a repeat another start. */
function requestOf({ task, input: sent, parent }: Given, options: Options, input: unknown): StartRequest {
  const fingerprint =
    options.idempotencyKey === null ? null : fingerprintOf(task.name, encode(sent, inputOf(task).what, ANY_SIZE))
  return { task, input, fingerprint, options: withDefaults(options, task), parent }
}

const inputOf = ({ name }: TaskPolicy): Checked => ({
  what: `The input of the task "${name}"`,
  so: 'Nothing was started.',
})

/** Its bounds are looked at where it is kept. */
const ANY_SIZE: PayloadLimit = { bytes: Number.MAX_SAFE_INTEGER, depth: 1_000 }

const withDefaults = (
  { delay, at, owner, tags, priority: ranked, queue, idempotencyKey, tx }: Options,
  task: TaskPolicy,
): ParsedStartOptions => ({
  delay: delay ?? 0,
  at,
  owner,
  tags,
  priority: ranked ?? task.priority,
  queue: queue ?? task.queue,
  idempotencyKey,
  tx,
})

/** The task as it was registered, where it was: the runs of others, and those after a restart, go by that one. */
export function knownTask(given: unknown, registry: Registry): TaskPolicy {
  const task = policyOf(given) ?? refuse('start(task)', 'a task, as task() returns it', given)
  const registered = registry.get(task.name)
  if (registered === undefined) return mustBePerformable(task, registry)
  // Another copy of the module, as a bundler makes it, is the same task; one that runs otherwise is not.
  const isSame =
    registered.durable === task.durable && registered.thread === task.thread && registered.version === task.version
  if (isSame) return mustBePerformable(registered, registry)
  throw new OffstageError(
    'OFFSTAGE_DUPLICATE_TASK',
    `Another task named "${task.name}" is among the \`tasks\` given to createOffstage: it differs in durable, thread or version. Rename one.`,
  )
}

/** A run that outlives this process, or leaves this thread, finds its code by name: the task must be among the `tasks`. */
export function mustBePerformable(task: TaskPolicy, registry: Registry): TaskPolicy {
  if (!task.durable && !task.thread) return task
  if (registry.get(task.name) === undefined)
    throw new OffstageError(
      'OFFSTAGE_UNKNOWN_TASK',
      `The task "${task.name}" is ${task.durable ? 'durable' : 'performed on a thread'} and not among the \`tasks\` given to createOffstage. Export it from the tasks module.`,
    )
  if (task.thread && registry.module === undefined)
    throw new OffstageError(
      'OFFSTAGE_THREAD_NEEDS_MODULE',
      `The task "${task.name}" has \`thread: true\`, and a thread loads its code from a module. Give the module: \`tasks: import.meta.resolve('./tasks.ts')\`.`,
    )
  return task
}

/** The run is canceled when the signal fires; the signal keeps nothing of the run once it has ended. */
export function cancelOn(signal: AbortSignal | undefined, runs: Runs, id: RunId): void {
  if (signal === undefined) return
  const cancel = (): void => void runs.cancel(id).catch(() => undefined) // the run's own end tells what came of it
  if (signal.aborted) return cancel()
  signal.addEventListener('abort', cancel, { once: true })
  const free = (): void => signal.removeEventListener('abort', cancel)
  // Not in the caller's context: a request must not live as long as the run it started.
  void inEmptyContext(() => runs.ended(id).then(free, free)) // both ways free it
}

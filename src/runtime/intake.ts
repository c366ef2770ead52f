import { milliseconds } from '../core/duration.ts'
import { OffstageError } from '../core/errors.ts'
import { optional, refuse, shape, text, texts, type Parser } from '../core/options.ts'
import type { RunId } from '../core/claim.ts'
import type { ParsedStartOptions, Runs, StartRequest } from '../core/runs.ts'
import { validated } from '../core/schema.ts'
import { policyOf, priority, type TaskPolicy } from '../core/task.ts'
import { inEmptyContext } from './empty-context.ts'
import type { Registry } from './registry.ts'

const moment: Parser<number> = (value, at) =>
  value instanceof Date && !Number.isNaN(value.getTime()) ? value.getTime() : refuse(at, 'a valid Date', value)

const signal: Parser<AbortSignal> = (value, at) =>
  value instanceof AbortSignal ? value : refuse(at, 'an AbortSignal', value)

const parseOptions = shape(
  {
    delay: optional(milliseconds, 0),
    at: optional(moment, null),
    priority: optional(priority, null),
    queue: optional(text, null),
    owner: optional(text, null),
    tags: optional(texts, [] as readonly string[]),
    signal: optional(signal, undefined),
  },
  ['idempotencyKey', 'tx', 'webhook', 'transfer'],
)

/** Most starts say nothing: parsed once. */
const NOTHING = parseOptions({}, 'start.options')

/** What was given to `start`, checked at the door: the options parsed, the input as the task's schema answered. */
export async function takeIn(given: {
  readonly task: TaskPolicy
  readonly input: unknown
  readonly options: unknown
  readonly parent: RunId | null
}): Promise<StartRequest> {
  const { task } = given
  const options = given.options === undefined ? NOTHING : parseOptions(given.options, 'start.options')
  options.signal?.throwIfAborted()
  const input = task.input === undefined ? given.input : await validated(task.input, given.input, task.name)
  options.signal?.throwIfAborted()
  return { task, input, options: withDefaults(options, task), parent: given.parent }
}

const withDefaults = (
  { delay, at, owner, tags, priority: ranked, queue }: ReturnType<typeof parseOptions>,
  task: TaskPolicy,
): ParsedStartOptions => ({
  delay,
  at,
  owner,
  tags,
  priority: ranked ?? task.priority,
  queue: queue ?? task.queue,
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

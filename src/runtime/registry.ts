import { isAbsolute } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { OffstageError } from '../core/errors.ts'
import { isObject, refuse } from '../core/options.ts'
import { policyOf, type AnyTask, type TaskPolicy } from '../core/task.ts'
import { messageOf } from '../core/thrown.ts'

/** A module to import (a file: URL or an absolute path), a list of tasks, or a namespace that may hold other things too. */
export type TaskSource = string | URL | readonly AnyTask[] | Readonly<Record<string, unknown>>

/** Tasks by name. */
export interface Registry {
  /** The URL they were imported from; undefined: they were given by value, which no thread can load. */
  readonly module: string | undefined
  readonly all: readonly TaskPolicy[]
  readonly get: (name: string) => TaskPolicy | undefined
  /** The value that `start` takes. */
  readonly task: (name: string) => AnyTask | undefined
}

/** At once for tasks given by value, so that the constructor refuses what is wrong with them. */
export function loadTasks(source: TaskSource): Registry | Promise<Registry> {
  if (typeof source === 'string' || source instanceof URL) return importTasks(moduleUrl(String(source)))
  if (Array.isArray(source)) return registryOf(source.map(listed))
  if (isObject(source)) return registryOf(exported(source))
  return refuse('tasks', 'a module, a list of tasks or an object whose values are tasks', source)
}

/** OFFSTAGE_BAD_OPTION, with what the import threw as its cause, where the module cannot be loaded. */
export async function importTasks(module: string): Promise<Registry> {
  return registryOf(exported(await namespaceOf(module)), module)
}

async function namespaceOf(module: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(module)) as Readonly<Record<string, unknown>> // whatever the module exports, it is that
  } catch (cause) {
    throw new OffstageError(
      'OFFSTAGE_BAD_OPTION',
      `The tasks module ${fileURLToPath(module)} could not be imported: ${messageOf(cause)}`,
      { cause },
    )
  }
}

function moduleUrl(source: string): string {
  if (isAbsolute(source)) return pathToFileURL(source).href
  if (URL.parse(source)?.protocol !== 'file:')
    refuse('tasks', "an absolute path or a file: URL, as import.meta.resolve('./tasks.ts') gives it", source)
  return source
}

/** A task and the policy behind it. */
interface Entry {
  readonly task: AnyTask
  readonly policy: TaskPolicy
}

function entryOf(value: unknown): Entry | undefined {
  const policy = policyOf(value)
  return policy && { task: value as AnyTask, policy } // only a task has a policy
}

const listed = (value: unknown, index: number): Entry =>
  entryOf(value) ?? refuse(`tasks[${index}]`, 'a task, as task() returns it', value)

const exported = (namespace: Readonly<Record<string, unknown>>): readonly Entry[] =>
  Object.values(namespace).flatMap((value) => entryOf(value) ?? [])

function registryOf(entries: readonly Entry[], module?: string): Registry {
  const byName = new Map<string, Entry>()
  for (const entry of entries) {
    const { name } = entry.policy
    if (byName.has(name) && byName.get(name)?.policy !== entry.policy)
      throw new OffstageError(
        'OFFSTAGE_DUPLICATE_TASK',
        `Two different tasks are named "${name}". Rename one: runs find their task by its name.`,
      )
    byName.set(name, entry)
  }
  return Object.freeze({
    module,
    all: Object.freeze(Array.from(byName.values(), ({ policy }) => policy)),
    get: (name: string) => byName.get(name)?.policy,
    task: (name: string) => byName.get(name)?.task,
  })
}

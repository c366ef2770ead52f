import type { ServerResponse } from 'node:http'
import type { Logger } from '../core/logger.ts'
import { callable, isFunction, isObject, optional, refuse, shape, text, type Parser } from '../core/options.ts'
import type { StartRequest } from '../core/runs.ts'
import { policyOf, task, type TaskPolicy } from '../core/task.ts'

export type AfterFunction = (context: { readonly signal: AbortSignal; readonly log: Logger }) => unknown

export interface AfterOptions {
  /** How reports call it. Default: the function's own name, else 'after'. */
  readonly name?: string
  /** Begin once it has been sent, or its connection is gone. */
  readonly response?: ServerResponse
}

/** The part of a ServerResponse that we use; anything of this shape will do. */
interface Sent {
  readonly writableFinished: boolean
  readonly destroyed: boolean
  once(event: 'finish' | 'close', call: () => void): unknown
}

const response: Parser<Sent> = (value, at) =>
  isObject(value) && isFunction(value['once']) ? (value as unknown as Sent) : refuse(at, 'a ServerResponse', value) // its one method was just looked at

const parseAfter = shape({ name: optional(text, undefined), response: optional(response, undefined) })

/** A function with no input as a start request, and when it may begin: at once, or after the response. */
export function afterRequest(
  fn: AfterFunction,
  options: unknown,
): { readonly request: StartRequest; readonly sent: Promise<void> | undefined } {
  const call = callable(fn, 'after(fn)') as AfterFunction // a function's parameters cannot be checked
  const parsed = parseAfter(options ?? {}, 'after.options')
  const policy = policyOf(
    task({ name: taskName(parsed.name ?? call.name), run: (_: void, context) => call(context) }),
  ) as TaskPolicy // task() has just made it
  const startOptions = { ...AT_ONCE, priority: policy.priority, queue: policy.queue }
  return {
    request: { task: policy, input: undefined, fingerprint: null, options: startOptions, parent: null },
    sent: parsed.response && gone(parsed.response),
  }
}

const AT_ONCE = { delay: 0, at: null, owner: null, tags: [], idempotencyKey: null, tx: undefined }

/** Names of functions may hold what names of tasks may not. */
const taskName = (name: string): string => name.replaceAll(/[^A-Za-z0-9._:/-]+/g, '-').slice(0, 200) || 'after'

function gone(sent: Sent): Promise<void> | undefined {
  if (sent.writableFinished || sent.destroyed) return undefined
  return new Promise((resolve) => {
    sent.once('finish', resolve)
    sent.once('close', resolve)
  })
}

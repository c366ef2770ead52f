import { CanceledError, CATALOGUE, OffstageError, ShutdownError, TimeoutError, type ErrorCode } from './errors.ts'
import { isObject } from './options.ts'
import type { RunError } from './run.ts'

const MESSAGE = 8_192
const STACK = 32_768
const CAUSES = 5

/** A thrown thing as a record, cut to size. Never throws, whatever was thrown. */
export function toFailure(thrown: unknown, depth = 0): RunError {
  if (!isObject(thrown)) return { name: 'Error', message: cut(String(thrown), MESSAGE) }
  const name = textOf(thrown, 'name') || 'Error'
  const code = textOf(thrown, 'code')
  const stack = textOf(thrown, 'stack')
  const cause = safely(() => thrown['cause'])
  return {
    name: cut(name, 200),
    message: cut(textOf(thrown, 'message') ?? safely(() => String(thrown)) ?? '', MESSAGE),
    ...(code ? { code: cut(code, 200) } : {}),
    ...(stack ? { stack: cut(stack, STACK) } : {}),
    ...(cause !== undefined && cause !== null && depth < CAUSES - 1 ? { cause: toFailure(cause, depth + 1) } : {}),
    ...(safely(() => thrown['expose']) === true ? { expose: true } : {}),
  }
}

/** The record as an error again: its name, message, code, stack and causes; one of ours as its own class where a caller tells them apart. */
export function fromFailure(failure: RunError): Error {
  const error = revived(failure)
  Object.defineProperty(error, 'message', { value: failure.message, configurable: true, writable: true })
  Object.defineProperty(error, 'name', { value: failure.name, configurable: true, writable: true })
  if (failure.stack !== undefined)
    Object.defineProperty(error, 'stack', { value: failure.stack, configurable: true, writable: true })
  if (failure.cause !== undefined)
    Object.defineProperty(error, 'cause', { value: fromFailure(failure.cause), configurable: true, writable: true })
  return error
}

function revived(failure: RunError): Error {
  const { code, message } = failure
  if (code === 'OFFSTAGE_TIMEOUT') return new TimeoutError(message)
  if (code === 'OFFSTAGE_CANCELED') return new CanceledError(message)
  if (code === 'OFFSTAGE_SHUTDOWN') return new ShutdownError(message)
  if (isCode(code)) return new OffstageError(code, message)
  return Object.assign(new Error(message), code === undefined ? {} : { code })
}

const isCode = (code: string | undefined): code is ErrorCode => code !== undefined && Object.hasOwn(CATALOGUE, code)

const textOf = (thrown: Record<string, unknown>, key: string): string | undefined =>
  safely(() => {
    const value = thrown[key]
    return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
  })

/** A getter of a thrown thing may throw as well: then there is nothing to tell. */
function safely<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text)

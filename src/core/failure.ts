import { CanceledError, CATALOGUE, OffstageError, ShutdownError, TimeoutError, type ErrorCode } from './errors.ts'
import type { RunError } from './run.ts'
import { cut, isReadable, messageOf, safely, textOf } from './thrown.ts'

const STACK = 32_768
const CAUSES = 5

/** A thrown thing as a record, cut to size. Never throws, whatever was thrown. */
export function toFailure(thrown: unknown, depth = 0): RunError {
  const message = messageOf(thrown)
  if (!isReadable(thrown)) return { name: 'Error', message }
  const code = textOf(thrown, 'code')
  const stack = textOf(thrown, 'stack')
  const cause = safely<unknown>(() => Reflect.get(thrown, 'cause'))
  return {
    name: cut(textOf(thrown, 'name') || 'Error', 200),
    message,
    ...(code ? { code: cut(code, 200) } : {}),
    ...(stack ? { stack: cut(stack, STACK) } : {}),
    ...(cause !== undefined && cause !== null && depth < CAUSES - 1 ? { cause: toFailure(cause, depth + 1) } : {}),
    ...(safely<unknown>(() => Reflect.get(thrown, 'expose')) === true ? { expose: true } : {}),
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

import { toFailure } from '../core/failure.ts'
import type { LogLevel } from '../core/logger.ts'
import type { LogLine } from '../core/run.ts'
import { cut, isReadable, safely } from '../core/thrown.ts'

const MESSAGE = 1_024
/** Of an error among the fields. */
const STACK = 2_048
/** Bytes may be more; this bounds what a reader is sent. */
const FIELDS = 4_096
/** Escaped once more, it still fits. */
const CUT_FIELDS = FIELDS / 2 - 100

/** As the code gave it: JavaScript heeds no type. */
interface Given {
  readonly fields: unknown
  readonly message?: unknown
}

/** A line as it is kept: cut to size, and whatever was given, it never throws. */
export const logLine = (at: number, level: LogLevel, { fields, message }: Given): LogLine => ({
  at,
  level,
  message: cut(textOf(message ?? (typeof fields === 'string' ? fields : '')), MESSAGE),
  fields: fieldsOf(fields),
})

function fieldsOf(fields: unknown): string {
  if (!isReadable(fields)) return '{}'
  const given = fields instanceof Error ? { err: fields } : fields
  const text = safely(() => JSON.stringify({ ...given }, plain)) ?? salvaged(given)
  return text.length <= FIELDS ? text : JSON.stringify({ cut: cut(text, CUT_FIELDS) })
}

/** One field that cannot be written down leaves the others as they are. */
const salvaged = (fields: object): string =>
  safely(() => {
    const written = Object.keys(fields).map((key) => {
      const value = safely(() => JSON.stringify(Reflect.get(fields, key), plain)) ?? '"[not JSON]"'
      return `${JSON.stringify(key)}:${value}`
    })
    return `{${written.join(',')}}`
  }) ?? '{}'

/** What JSON leaves out or refuses, and a log is often given. */
function plain(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (!(value instanceof Error)) return value
  const { name, message, code, stack = '' } = toFailure(value)
  return { name, message: cut(message, MESSAGE), code, stack: cut(stack, STACK) }
}

const textOf = (message: unknown): string => safely(() => String(message)) ?? ''

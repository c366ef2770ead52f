import type { Logger } from '../core/logger.ts'
import { messageOf, traceOf } from '../core/thrown.ts'

/** Where no logger was given: warnings and errors, a line each, to stderr. */
export const stderrLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: (fields, message) => line('warning', fields, message),
  error: (fields, message) => line('error', fields, message),
}

function line(level: string, { err, ...fields }: { readonly err?: unknown }, message = ''): void {
  const detail = Object.entries(fields).map(([key, value]) => ` ${key}=${messageOf(value)}`)
  process.stderr.write(
    `offstage ${level}: ${message}${detail.join('')}${err === undefined ? '' : `\n${traceOf(err)}`}\n`,
  )
}

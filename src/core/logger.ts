/** pino's shape: an object of fields, then the sentence. Any logger of this shape will do. */
export interface Logger {
  debug(fields: object, message?: string): void
  info(fields: object, message?: string): void
  warn(fields: object, message?: string): void
  error(fields: object, message?: string): void
}

export type LogLevel = keyof Logger

/** The same logger with more fields on each line. */
export const withFields = (logger: Logger, more: object): Logger => {
  const line =
    (level: LogLevel) =>
    (fields: object, message?: string): void =>
      logger[level]({ ...more, ...fields }, message)
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

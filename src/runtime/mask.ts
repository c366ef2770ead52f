import { fromFailure, toFailure } from '../core/failure.ts'
import type { Logger, LogLevel } from '../core/logger.ts'
import { isFunction, isObject } from '../core/options.ts'
import { REDACTED, redacted, scrubber, secretsIn } from '../core/redact.ts'
import type { Run, RunError } from '../core/run.ts'
import { safely } from '../core/thrown.ts'

/**
 * Hides what a task's `redact` names in whatever is told of a run: events, log lines, details. What is answered to the run's starter and
 * owner (its handle, `get`, HTTP) is not masked.
 */
export interface Mask {
  /** An input, a result, a step's result. */
  value(value: unknown): unknown
  /** A logged line. */
  line(fields: object, message: string | undefined): readonly [fields: object, message: string | undefined]
  text(text: string): string
  failure(error: RunError): RunError
  /** What was thrown; masked, it is another error with the same words. */
  error(thrown: unknown): unknown
  run(run: Run): Run
  logger(logger: Logger): Logger
}

/** Secrets of one run that are looked for; of one with more than these nothing is shown. */
const MOST = 1_000

/** `payloads`: whatever is known of the run, where the pointers find the secrets. */
export function maskOf(pointers: readonly string[], ...payloads: readonly unknown[]): Mask {
  if (pointers.length === 0) return OPEN
  const secrets = safely(() => secretsOf(pointers, payloads))
  if (secrets === undefined || secrets.size > MOST) return NOTHING_SHOWN
  const text = scrubber(secrets)
  const scrub = scrubbing(text, secrets)
  return maskFrom(text, (value) => safely(() => scrub(redacted(value, pointers))) ?? shut(value))
}

/** Where nothing of the run's payloads is known any more. */
export const blindMaskOf = (task: { readonly redact: readonly string[] } | undefined): Mask =>
  task === undefined || task.redact.length > 0 ? NOTHING_SHOWN : OPEN

function secretsOf(pointers: readonly string[], payloads: readonly unknown[]): ReadonlySet<string> {
  const secrets = new Set<string>()
  for (const payload of payloads)
    for (const secret of secretsIn(payload, pointers)) if (secrets.add(secret).size > MOST) return secrets
  return secrets
}

/** The same value, as JSON would write it, without the secrets in its texts. */
function scrubbing(text: (text: string) => string, secrets: ReadonlySet<string>): (value: unknown) => unknown {
  const above: object[] = []
  const scrub = (value: unknown): unknown => {
    if (typeof value === 'string') return text(value)
    if (typeof value === 'number' || typeof value === 'bigint') return secrets.has(String(value)) ? REDACTED : value
    if (!isObject(value)) return value
    if (value instanceof Error) return fromFailure(failureWith(text)(toFailure(value)))
    if (above.includes(value)) return '[circular]'
    above.push(value)
    try {
      return members(value)
    } finally {
      above.pop()
    }
  }
  const members = (value: Record<string, unknown>): unknown => {
    if (isFunction(value['toJSON'])) return scrub((value as { toJSON(): unknown }).toJSON())
    if (Array.isArray(value)) return value.map(scrub)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [text(key), scrub(inner)]))
  }
  return scrub
}

const failureWith = (text: (text: string) => string) => {
  const failure = ({ name, message, code, stack, cause, expose }: RunError): RunError => ({
    name: text(name),
    message: text(message),
    ...(code === undefined ? {} : { code: text(code) }),
    ...(stack === undefined ? {} : { stack: text(stack) }),
    ...(cause === undefined ? {} : { cause: failure(cause) }),
    ...(expose === undefined ? {} : { expose }),
  })
  return failure
}

function maskFrom(text: Mask['text'], value: Mask['value']): Mask {
  const failure = failureWith(text)
  const line: Mask['line'] = (given, message) => {
    const shown = value(given)
    // Loggers take a text in the place of the fields.
    const fields = isObject(shown) || typeof given === 'string' ? (shown as object) : {}
    return [fields, message === undefined ? message : text(String(message))]
  }
  return {
    text,
    value,
    line,
    failure,
    error: (thrown) => fromFailure(failure(toFailure(thrown))),
    run: (run) => ({
      ...run,
      tags: run.tags.map(text),
      progress:
        run.progress?.message === undefined ? run.progress : { ...run.progress, message: text(run.progress.message) },
      ...(run.result === undefined ? {} : { result: value(run.result) }),
      ...(run.error === undefined ? {} : { error: failure(run.error) }),
    }),
    logger: (logger) => maskedLogger(logger, line),
  }
}

function maskedLogger(logger: Logger, masked: Mask['line']): Logger {
  const line =
    (level: LogLevel) =>
    (fields: object, message?: string): void =>
      logger[level](...masked(fields, message))
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

/** Of a task that redacts nothing: all is as it was given. */
const OPEN: Mask = {
  value: (value) => value,
  line: (...line) => line,
  text: (text) => text,
  failure: (error) => error,
  error: (thrown) => thrown,
  run: (run) => run,
  logger: (logger) => logger,
}

const shut = (value: unknown): unknown => (value === undefined ? value : REDACTED)

/** Where nobody knows what must be hidden: the task is not registered here, or its input is not at hand. */
export const NOTHING_SHOWN: Mask = maskFrom(() => REDACTED, shut)

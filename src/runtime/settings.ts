import { availableParallelism } from 'node:os'
import { milliseconds } from '../core/duration.ts'
import { OffstageError } from '../core/errors.ts'
import type { Logger, LogLevel } from '../core/logger.ts'
import { boolean, isFunction, isObject, oneOf, optional, refuse, shape, whole, type Parser } from '../core/options.ts'
import type { TaskSource } from './registry.ts'
import { stderrLogger } from './stderr-logger.ts'

/** Everything `createOffstage` takes, save `http`, parsed and frozen. */
export interface Settings {
  readonly tasks: TaskSource
  /** A store's address; or an opened-by-us Store, typed by whoever wires it. */
  readonly store: unknown
  readonly concurrency: number
  readonly memory: { readonly concurrency: number; readonly capacity: number }
  readonly threads: { readonly size: number; readonly capacity: number }
  readonly shutdown: { readonly grace: number; readonly signals: boolean }
  /** How long ended durable runs are kept at least, in milliseconds; beyond that many bytes of the store, the oldest ended go sooner. */
  readonly retention: {
    readonly succeeded: number
    readonly failed: number
    readonly canceled: number
    readonly maxBytes: number | null
  }
  readonly limits: { readonly input: number; readonly result: number; readonly depth: number }
  readonly onHang: 'report' | 'exit'
  readonly http: unknown
  readonly logger: Logger
}

const KIB = 1_024
const DAY = 86_400_000
/** Long enough to look at a failure after a holiday. */
export const RETENTION: Settings['retention'] = { succeeded: DAY, failed: 14 * DAY, canceled: 14 * DAY, maxBytes: null }
const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

const logger: Parser<Logger> = (value, at) =>
  isObject(value) && LEVELS.every((level) => isFunction(value[level]))
    ? (value as unknown as Logger)
    : refuse(at, 'a logger with debug, info, warn and error', value) // its four methods were just looked at

const tasks: Parser<TaskSource> = (value, at) =>
  typeof value === 'string' || isObject(value)
    ? value
    : refuse(at, 'a module, a list of tasks or an object whose values are tasks', value) // the registry looks at what is inside

const STORE = "'sqlite:PATH', 'memory:' or a Store"
const ADDRESS = /^(?:memory:|sqlite:.+)$/s

/** An address is not shown: it may hold a password. */
const store: Parser<unknown> = (value, at) => {
  if (typeof value === 'string' && !ADDRESS.test(value))
    throw new OffstageError(
      'OFFSTAGE_BAD_OPTION',
      `\`${at}\` must be ${STORE}, got another text. Postgres is not available in this version of Offstage.`,
    )
  return typeof value === 'string' || (isObject(value) && isFunction(value['write'])) ? value : refuse(at, STORE, value)
}

const anything: Parser<unknown> = (value) => value

const worker: Parser<{ readonly concurrency: number }> = (value, at) => {
  if (value === false) return { concurrency: 0 }
  return shape({ concurrency: optional(whole(1, 100_000), 16) }, ['queues', 'poll'])(
    value === true || value === undefined ? {} : value,
    at,
  )
}

/** A part left out is a part with nothing said. */
const part =
  <T>(parse: Parser<T>): Parser<T> =>
  (value, at) =>
    parse(value ?? {}, at)

const SHAPE = {
  tasks: optional(tasks, []),
  store: optional(store, undefined),
  worker,
  memory: part(shape({ concurrency: optional(whole(1), 64), capacity: optional(whole(1), 10_000) }, ['remember'])),
  threads: part(
    shape({ size: optional(whole(1, 1_024), null), capacity: optional(whole(1), 10_000) }, [
      'idle',
      'isolate',
      'maxRuns',
      'resourceLimits',
    ]),
  ),
  shutdown: part(shape({ grace: optional(milliseconds, 20_000), signals: optional(boolean, true) })),
  retention: part(
    shape({
      succeeded: optional(milliseconds, RETENTION.succeeded),
      failed: optional(milliseconds, RETENTION.failed),
      canceled: optional(milliseconds, RETENTION.canceled),
      maxBytes: optional(whole(1), null),
    }),
  ),
  limits: part(
    shape({
      input: optional(whole(1), 256 * KIB),
      result: optional(whole(1), KIB * KIB),
      depth: optional(whole(1, 1_000), 64),
    }),
  ),
  onHang: optional(oneOf('report', 'exit'), 'report'),
  http: anything,
  logger: optional(logger, stderrLogger),
}

export function parseSettings(options: unknown): Settings {
  const parsed = shape(SHAPE, ['webhooks', 'context'])(options ?? {}, '')
  const { worker: work, threads, ...rest } = parsed
  return Object.freeze({
    ...rest,
    concurrency: work.concurrency,
    threads: { ...threads, size: threads.size ?? Math.max(1, availableParallelism() - 1) },
    store: parsed.store ?? store(process.env['OFFSTAGE_STORE'] ?? 'sqlite:.offstage/offstage.db', 'OFFSTAGE_STORE'),
  })
}

/** `close({ deadline })` and `drain({ deadline })`. */
export const parseDeadline = <const F extends number | null>(options: unknown, at: string, fallback: F): number | F =>
  shape({ deadline: optional(milliseconds, fallback) })(options ?? {}, at).deadline

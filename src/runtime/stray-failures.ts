import { AsyncLocalStorage } from 'node:async_hooks'
import type { Claim } from '../core/claim.ts'
import { messageOf, traceOf } from '../core/thrown.ts'

/** Who is told of a failure that a run's code set free: a promise nobody awaited, a timer that threw. */
export interface Origin {
  readonly claim: Claim
  readonly task: string
  report(origin: Origin, error: unknown): void
}

const origins = new AsyncLocalStorage<Origin>()

/** Whatever fails without being caught, in this call or in what it sets off, is told to its origin and does not end the process. */
export const asOrigin = <T>(origin: Origin, call: () => T): T => origins.run(origin, call)

/** Whose code runs in this moment, first line or continuation; undefined: no run's. */
export const currentOrigin = (): Origin | undefined => origins.getStore()

/** `--unhandled-rejections` where it says that one does not end the process. */
const MODE = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(' ')].find((option) =>
  /^--unhandled-rejections=(none|warn)/.test(option),
)

/** How many Offstages watch: the listeners are of the process, and are there while somebody needs them. */
let watching = 0

/** Listens from now until disposed. What belongs to no run keeps Node's default: it ends the process, unless the application listens. */
export function watchStrayFailures(): Disposable {
  if (watching++ === 0) process.on('uncaughtException', threw).on('unhandledRejection', rejected)
  let over = false
  return {
    [Symbol.dispose]() {
      if (over) return
      over = true
      if (--watching === 0) process.off('uncaughtException', threw).off('unhandledRejection', rejected)
    },
  }
}

/** Our listeners are what keeps the process from ending: where nobody else listens, the end is ours to make, as Node would have. */
function threw(error: unknown): void {
  if (toldOrigin(error) || process.listenerCount('uncaughtException') > 1) return
  process.stderr.write(`Uncaught ${traceOf(error)}\n`)
  process.exit(1)
}

function rejected(error: unknown): void {
  if (toldOrigin(error) || process.listenerCount('unhandledRejection') > 1) return
  if (MODE !== undefined) process.emitWarning(`Unhandled rejection: ${messageOf(error)}`)
  // Where only exceptions are listened to, Node hands a rejection on to them. Whatever was rejected with: its type is theirs to see.
  else process.emit('uncaughtException', error as Error)
}

function toldOrigin(error: unknown): boolean {
  const origin = currentOrigin()
  // Outside of its context: a listener's own stray failure must not be told to the run again, and again.
  if (origin !== undefined) origins.exit(() => origin.report(origin, error))
  return origin !== undefined
}

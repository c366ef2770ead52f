import { AsyncLocalStorage } from 'node:async_hooks'
import type { Claim } from '../core/claim.ts'
import { traceOf } from '../core/thrown.ts'

/** Who is told of a failure that a run's code set free: a promise nobody awaited, a timer that threw. */
export interface Origin {
  readonly claim: Claim
  readonly task: string
  report(origin: Origin, error: unknown): void
}

const origins = new AsyncLocalStorage<Origin>()

/** Whatever fails without being caught, in this call or in what it sets off, is told to its origin and does not end the process. */
export const asOrigin = <T>(origin: Origin, call: () => T): T => origins.run(origin, call)

/** How many Offstages watch: the listeners are of the process, and are there while somebody needs them. */
let watching = 0

/** Listens from now until disposed. What belongs to no run keeps Node's default: it ends the process, unless the application listens. */
export function watchStrayFailures(): Disposable {
  if (watching++ === 0) process.on('uncaughtException', failed).on('unhandledRejection', failed)
  let over = false
  return {
    [Symbol.dispose]() {
      if (over) return
      over = true
      if (--watching === 0) process.off('uncaughtException', failed).off('unhandledRejection', failed)
    },
  }
}

function failed(error: unknown, of: unknown): void {
  const origin = origins.getStore()
  // Outside of its context: a listener's own stray failure must not be told to the run again, and again.
  if (origin !== undefined) return origins.exit(() => origin.report(origin, error))
  // Our listener is what keeps the process from ending: where it is the only one, the end is ours to make, as Node would have.
  const event = of === 'uncaughtException' || of === 'unhandledRejection' ? 'uncaughtException' : 'unhandledRejection'
  if (process.listenerCount(event) > 1) return
  process.stderr.write(`Uncaught ${traceOf(error)}\n`)
  process.exit(1)
}

import { AsyncLocalStorage } from 'node:async_hooks'
import type { Parking } from '../core/outcome.ts'

/**
 * How an attempt is told to stop, and how its code says that it only waits. Its AbortSignal is made when somebody looks at it: most
 * code never does, and a signal with its listener costs more than all else that is made for an attempt.
 */
export class Ending {
  #controller: AbortController | undefined
  /** The context of the code that looked: its listeners are called there, and what they throw is the run's, not the canceler's. */
  #inside: ReturnType<typeof AsyncLocalStorage.snapshot> | undefined
  #ended: { readonly reason: Error } | undefined
  #listener: (() => void) | undefined
  #parked: ((parking: Parking) => void) | undefined

  /** Why; undefined while nothing was said. */
  get reason(): Error | undefined {
    return this.#ended?.reason
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      this.#inside = AsyncLocalStorage.snapshot()
      if (this.#ended !== undefined) this.#controller.abort(this.#ended.reason)
    }
    return this.#controller.signal
  }

  /** The first reason stands. */
  abort(reason: Error): void {
    if (this.#ended !== undefined) return
    this.#ended = { reason }
    this.#inside?.(() => this.#controller?.abort(reason))
    this.#listener?.()
  }

  /** One listener: whoever performs the attempt. */
  onAbort(call: () => void): void {
    this.#listener = call
    if (this.#ended !== undefined) call()
  }

  /** The attempt ends here, whatever its code does from now on. */
  park(parking: Parking): void {
    this.#parked?.(parking)
  }

  /** The same listener, there before the code is. */
  onPark(call: (parking: Parking) => void): void {
    this.#parked = call
  }
}

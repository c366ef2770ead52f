import type { Clock } from '../core/clock.ts'
import { pause } from './timers.ts'

/** A small duty with one file of its own, done again and again. */
export interface Role {
  tick(): Promise<void>
}

/** Ticks a role at once and then `ms` after each tick's end, until stopped. A tick that fails is told and the next one comes all the same. */
export class Rounds implements AsyncDisposable {
  readonly #ended = new AbortController()
  readonly #done: Promise<void>

  constructor(
    role: Role,
    options: { readonly clock: Clock; readonly every: number; readonly failed: (error: unknown) => void },
  ) {
    this.#done = this.#go(role, options)
  }

  async #go(
    role: Role,
    {
      clock,
      every,
      failed,
    }: { readonly clock: Clock; readonly every: number; readonly failed: (error: unknown) => void },
  ): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await role.tick().catch(failed)
      await pause(clock, every, this.#ended.signal)
    }
  }

  /** Resolves when the tick under way has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort()
    await this.#done
  }
}

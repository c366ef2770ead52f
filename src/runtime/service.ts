import type { Clock } from '../core/clock.ts'
import { pause } from './timers.ts'

/** A small duty with one file of its own, done again and again. */
export interface Role {
  tick(): Promise<void>
}

export interface RoundsOptions {
  readonly clock: Clock
  readonly every: number
  /** Told how each tick went. */
  readonly health: { failed(role: Role, error: unknown): void; answered(role: Role): void }
}

/** Ticks a role at once and then `every` ms after each tick's end, until stopped. After a tick that failed the next one comes all the same. */
export class Rounds implements AsyncDisposable {
  readonly #ended = new AbortController()
  readonly #done: Promise<void>

  constructor(role: Role, options: RoundsOptions) {
    this.#done = this.#go(role, options)
  }

  async #go(role: Role, { clock, every, health }: RoundsOptions): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await role.tick().then(
        () => health.answered(role),
        (error: unknown) => health.failed(role, error),
      )
      await pause(clock, every, this.#ended.signal)
    }
  }

  /** Resolves when the tick under way has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort()
    await this.#done
  }
}

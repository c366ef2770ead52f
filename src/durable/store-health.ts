import type { Channels } from '../runtime/channels.ts'

/** Whether the store answers, told once when it stops and once when it is back, however many ask it meanwhile. */
export class StoreHealth {
  readonly #channels: Channels
  #down = false

  constructor(channels: Channels) {
    this.#channels = channels
  }

  failed(error: unknown): void {
    if (!this.#down) this.#channels.tell('store:unavailable', () => ({ error }))
    this.#down = true
  }

  answered(): void {
    if (this.#down) this.#channels.tell('store:recovered', () => ({}))
    this.#down = false
  }
}

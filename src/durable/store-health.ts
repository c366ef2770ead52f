import type { Channels } from '../runtime/channels.ts'

/** Whether the store answers, told once when it stops and once when it is back, however many ask it meanwhile. */
export class StoreHealth {
  readonly #channels: Channels
  /** Those who got no answer: a store may answer questions and refuse writes. */
  readonly #unanswered = new Set<object>()

  constructor(channels: Channels) {
    this.#channels = channels
  }

  failed(asker: object, error: unknown): void {
    if (this.#unanswered.size === 0) this.#channels.tell('store:unavailable', () => ({ error }))
    this.#unanswered.add(asker)
  }

  answered(asker: object): void {
    if (this.#unanswered.delete(asker) && this.#unanswered.size === 0)
      this.#channels.tell('store:recovered', () => ({}))
  }
}

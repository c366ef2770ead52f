import type { OwnTransaction } from '../core/task.ts'
import type { OwnTx, TxStatement } from '../stores/store.ts'

/** `ctx.tx` of one attempt: what its code writes with it, until the run's end commits it. */
export class KeptTx {
  readonly #own: OwnTx
  readonly #asked = new Set<Promise<unknown>>()

  constructor(own: OwnTx) {
    this.#own = own
  }

  /** As the task's code holds it. */
  readonly face: OwnTransaction = Object.freeze({
    query: async (text: string, values?: readonly unknown[]) => {
      const answer = this.#own.query(text, values)
      this.#asked.add(answer)
      try {
        return await answer
      } finally {
        this.#asked.delete(answer)
      }
    },
  })

  /** Those that were not awaited are part of the end too, and rejects where one of them was refused. What is added later is not: a repeated write must stay the same. */
  async statements(): Promise<readonly TxStatement[]> {
    if (this.#asked.size > 0) await Promise.all(this.#asked)
    return [...this.#own.statements]
  }
}

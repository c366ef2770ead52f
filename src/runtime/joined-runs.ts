import type { RunId } from '../core/claim.ts'
import type { RunEnd, Runs } from '../core/runs.ts'
import type { Cancellation } from '../core/start.ts'
import type { RunSnapshot } from '../core/run.ts'
import type { RunEvent } from '../core/run-events.ts'

/** Several keepers of runs as one: by id, the first that knows it. */
export class JoinedRuns implements Runs {
  readonly #keepers: () => Promise<readonly Runs[]>
  #followers = 0

  constructor(keepers: () => Promise<readonly Runs[]>) {
    this.#keepers = keepers
  }

  /** Watches that have not ended. */
  get followers(): number {
    return this.#followers
  }

  get(id: RunId): Promise<RunSnapshot | undefined> {
    return this.#first((runs) => runs.get(id))
  }

  cancel(id: RunId, reason?: string): Promise<Cancellation | undefined> {
    return this.#first((runs) => runs.cancel(id, reason))
  }

  ended(id: RunId, signal?: AbortSignal): Promise<RunEnd | undefined> {
    return this.#first((runs) => runs.ended(id, signal))
  }

  async *watch(
    id: RunId,
    options: { readonly after?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<RunEvent, void, undefined> {
    this.#followers++
    try {
      const keeper = await this.#first(async (runs) => ((await runs.get(id)) === undefined ? undefined : runs))
      if (keeper !== undefined) yield* keeper.watch(id, options)
    } finally {
      this.#followers--
    }
  }

  async #first<T>(ask: (runs: Runs) => Promise<T | undefined>): Promise<T | undefined> {
    for (const runs of await this.#keepers()) {
      const answer = await ask(runs)
      if (answer !== undefined) return answer
    }
    return undefined
  }
}

import type { RunId } from '../core/claim.ts'
import type { Run, RunDetails, RunSnapshot } from '../core/run.ts'
import type { RunEvent } from '../core/run-events.ts'
import { STATES, type State } from '../core/run-state.ts'
import type { RunEnd, RunFilter, Runs } from '../core/runs.ts'
import type { Cancellation } from '../core/start.ts'

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

  details(id: RunId): Promise<RunDetails | undefined> {
    return this.#first((runs) => runs.details(id))
  }

  async list(asked: Parameters<Runs['list']>[0]): Promise<readonly Run[]> {
    const pages = await this.#all((runs) => runs.list(asked))
    return pages
      .flat()
      .toSorted((a, b) => (a.id < b.id ? 1 : -1))
      .slice(0, asked.limit)
  }

  async tally(filter: RunFilter): Promise<Readonly<Record<State, number>>> {
    const tallies = await this.#all((runs) => runs.tally(filter))
    const sum = (state: State): number => tallies.reduce((total, tally) => total + tally[state], 0)
    return Object.fromEntries(STATES.map((state) => [state, sum(state)])) as Record<State, number> // each state was just put there
  }

  rerun(id: RunId): Promise<Run | undefined> {
    return this.#first((runs) => runs.rerun(id))
  }

  remove(id: RunId): Promise<boolean | undefined> {
    return this.#first((runs) => runs.remove(id))
  }

  signal(id: RunId, name: string, payload: unknown): Promise<true | undefined> {
    return this.#first((runs) => runs.signal(id, name, payload))
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

  async #all<T>(ask: (runs: Runs) => Promise<T>): Promise<readonly T[]> {
    return Promise.all((await this.#keepers()).map(ask))
  }
}

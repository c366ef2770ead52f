import type { RunId } from '../core/claim.ts'
import type { RunEnd, Runs } from '../core/runs.ts'
import type { Cancellation } from '../core/start.ts'
import type { RunSnapshot } from '../core/run.ts'
import type { RunEvent } from '../core/run-events.ts'

/** Several keepers of runs as one: by id, the first that knows it. */
export function joinedRuns(keepers: () => readonly Runs[] | Promise<readonly Runs[]>): Runs {
  const first = async <T>(ask: (runs: Runs) => Promise<T | undefined>): Promise<T | undefined> => {
    for (const runs of await keepers()) {
      const answer = await ask(runs)
      if (answer !== undefined) return answer
    }
    return undefined
  }
  return {
    get: (id: RunId): Promise<RunSnapshot | undefined> => first((runs) => runs.get(id)),
    cancel: (id: RunId, reason?: string): Promise<Cancellation | undefined> => first((runs) => runs.cancel(id, reason)),
    ended: (id: RunId, signal?: AbortSignal): Promise<RunEnd | undefined> => first((runs) => runs.ended(id, signal)),
    async *watch(
      id: RunId,
      options: { readonly after?: number; readonly signal?: AbortSignal } = {},
    ): AsyncGenerator<RunEvent, void, undefined> {
      const keeper = await first(async (runs) => ((await runs.get(id)) === undefined ? undefined : runs))
      if (keeper !== undefined) yield* keeper.watch(id, options)
    },
  }
}

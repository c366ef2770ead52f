import type { RunId } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { PayloadLimits } from '../core/payload.ts'
import type { Random } from '../core/random.ts'
import type { RunSnapshot } from '../core/run.ts'
import type { State } from '../core/run-state.ts'
import type { Runs, Started } from '../core/runs.ts'
import type { StartOptions } from '../core/start.ts'
import type { AnyTask } from '../core/task.ts'
import type { HttpSettings } from './access.ts'
import type { Links, Right } from './contract.ts'
import type { StreamPlaces } from './stream-places.ts'

/** What the routes stand on. */
export interface HttpParts {
  readonly settings: HttpSettings
  readonly runs: Runs
  /** Asks the task's schema and starts; rejects with the error that the answer tells. */
  readonly submit: (task: AnyTask, input: unknown, options: StartOptions) => Promise<Started>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly limits: Pick<PayloadLimits, 'input' | 'depth'>
  /** Every ended durable run is kept for that many milliseconds at least, while the store has room. */
  readonly kept: number
  /** Fires when event streams shall end. Reads and cancels go on. */
  readonly shutdown: AbortSignal
}

export interface Surface extends HttpParts {
  readonly streams: StreamPlaces
  /** Of a run in that state; undefined: what every state allows. */
  readonly links: (id: RunId, state: State | undefined) => Links
}

/** A request that was let through to a run. */
export interface Call {
  readonly surface: Surface
  readonly request: Request
  readonly found: RunSnapshot
  readonly rights: ReadonlySet<Right>
}

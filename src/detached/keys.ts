import type { Clock } from '../core/clock.ts'
import { OffstageError } from '../core/errors.ts'
import { IDEMPOTENCY_FOR } from '../core/idempotency.ts'
import type { StartRequest } from '../core/runs.ts'
import type { LiveRun } from './live-run.ts'

/** Which run an idempotency key stands for: of the same owner and task, for 24 hours, and while the run is remembered. */
export class Keys {
  readonly #clock: Clock
  readonly #runs = new Map<string, LiveRun>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Throws OFFSTAGE_IDEMPOTENCY_MISMATCH where the key stands for another input. */
  find(request: StartRequest): LiveRun | undefined {
    const name = nameOf(request)
    const run = name === undefined ? undefined : this.#runs.get(name)
    if (run === undefined || this.#clock.now() - run.createdAt >= IDEMPOTENCY_FOR) return undefined
    if (run.request.fingerprint === request.fingerprint) return run
    throw new OffstageError(
      'OFFSTAGE_IDEMPOTENCY_MISMATCH',
      `The idempotency key of this start of "${request.task.name}" belongs to the run ${run.id}, which has another input. Nothing was started.`,
    )
  }

  add(run: LiveRun): void {
    const name = nameOf(run.request)
    if (name !== undefined) this.#runs.set(name, run)
  }

  /** The run is forgotten, and its key with it; a later run may have the key by then. */
  remove(run: LiveRun): void {
    const name = nameOf(run.request)
    if (name !== undefined && this.#runs.get(name) === run) this.#runs.delete(name)
  }
}

const nameOf = ({ task, options }: StartRequest): string | undefined =>
  options.idempotencyKey === null ? undefined : JSON.stringify([options.owner, task.name, options.idempotencyKey])

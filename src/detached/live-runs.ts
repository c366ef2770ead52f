import type { RunId } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import { OffstageError } from '../core/errors.ts'
import type { Run, RunDetails } from '../core/run.ts'
import type { RunEvent } from '../core/run-events.ts'
import type { State } from '../core/run-state.ts'
import type { RunFilter, Runs, StartRequest } from '../core/runs.ts'
import { follow } from '../runtime/follow.ts'
import { Keys } from './keys.ts'
import { REMEMBERED, type LiveRun } from './live-run.ts'

/** The bounded table of live and recently ended runs. */
export class LiveRuns implements Pick<Runs, 'details' | 'list' | 'tally' | 'rerun' | 'remove' | 'signal'> {
  readonly #clock: Clock
  readonly #runs = new Map<RunId, LiveRun>()
  /** In the order of their ends. */
  readonly #ended = new Map<RunId, number>()
  readonly #keys: Keys

  constructor(clock: Clock) {
    this.#clock = clock
    this.#keys = new Keys(clock)
  }

  add(run: LiveRun): void {
    this.#runs.set(run.id, run)
    this.#keys.add(run)
  }

  /** The run that the request's idempotency key began. Throws OFFSTAGE_IDEMPOTENCY_MISMATCH where that had another input. */
  known(request: StartRequest): LiveRun | undefined {
    this.#forget()
    return this.#keys.find(request)
  }

  find(id: RunId): LiveRun | undefined {
    this.#forget()
    return this.#runs.get(id)
  }

  ended(run: LiveRun): void {
    this.#ended.set(run.id, this.#clock.monotonic())
    this.#forget()
  }

  /** How many have not ended. */
  get size(): number {
    return this.#runs.size - this.#ended.size
  }

  /** Those that have not ended. */
  live(): readonly LiveRun[] {
    return [...this.#runs.values()].filter((run) => !run.done)
  }

  async details(id: RunId): Promise<RunDetails | undefined> {
    return this.find(id)?.details()
  }

  async list({ filter, before, limit }: Parameters<Runs['list']>[0]): Promise<readonly Run[]> {
    const found = this.#fitting(filter).filter(({ id }) => before === null || id < before)
    const newest = found.toSorted((a, b) => (a.id < b.id ? 1 : -1))
    return newest.slice(0, limit).map((run) => run.run())
  }

  async tally(filter: RunFilter): Promise<Readonly<Record<State, number>>> {
    const counts = { waiting: 0, running: 0, succeeded: 0, failed: 0, canceled: 0 }
    for (const { state } of this.#fitting(filter)) counts[state]++
    return counts
  }

  async rerun(id: RunId): Promise<undefined> {
    const run = this.find(id)
    if (run !== undefined) throw notDurable('`rerun`', run.request.task.name)
  }

  async signal(id: RunId): Promise<undefined> {
    const run = this.find(id)
    if (run !== undefined) throw notDurable('`signal`', run.request.task.name)
  }

  async remove(id: RunId): Promise<true | undefined> {
    const run = this.find(id)
    if (run === undefined) return undefined
    if (!run.done)
      throw new OffstageError(
        'OFFSTAGE_RUN_NOT_FINISHED',
        `The run ${id} has not finished and cannot be removed. Cancel it first, or wait for its end.`,
      )
    this.#drop(run)
    return true
  }

  #drop(run: LiveRun): void {
    this.#ended.delete(run.id)
    this.#runs.delete(run.id)
    this.#keys.remove(run)
  }

  #fitting({ task, state, queue, owner, tag, parent }: RunFilter): readonly LiveRun[] {
    this.#forget()
    return [...this.#runs.values()].filter(
      (run) =>
        (task ?? run.request.task.name) === run.request.task.name &&
        (state ?? run.state) === run.state &&
        (queue ?? run.request.options.queue) === run.request.options.queue &&
        (owner === undefined || owner === run.request.options.owner) &&
        (tag === undefined || run.request.options.tags.includes(tag)) &&
        (parent === undefined || parent === run.request.parent),
    )
  }

  async *watch(
    id: RunId,
    options: { readonly after?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<RunEvent, void, undefined> {
    const run = this.find(id)
    if (run !== undefined)
      yield* follow({ read: (after) => run.view(after), change: (signal) => run.change(signal) }, options)
  }

  #forget(): void {
    const before = this.#clock.monotonic() - REMEMBERED.ms
    for (const [id, at] of this.#ended) {
      if (at > before && this.#ended.size <= REMEMBERED.runs) return
      const run = this.#runs.get(id)
      if (run !== undefined) this.#drop(run)
    }
  }
}

export const notDurable = (what: string, task: string): OffstageError =>
  new OffstageError('OFFSTAGE_NOT_DURABLE', `${what} needs \`durable: true\` on the task "${task}".`)

import type { RunId } from '../core/claim.ts'
import { OffstageError } from '../core/errors.ts'
import { encode, type PayloadLimit } from '../core/payload.ts'
import type { Run, RunDetails } from '../core/run.ts'
import { isDone } from '../core/run-state.ts'
import type { RunFilter, Runs } from '../core/runs.ts'
import type { Cancellation } from '../core/start.ts'
import { signalName } from '../flow/names.ts'
import type { Registry } from '../runtime/registry.ts'
import type { Controlled, Questions, QuestionOf, Retention, Store } from '../stores/store.ts'
import { accepted, type Ledger } from './ledger.ts'
import { detailsOf, endOf, runOf } from './records.ts'
import type { Watch } from './watch.ts'
import type { Worker } from './worker.ts'

export interface OperatingParts {
  readonly store: Store
  readonly ledger: Ledger
  readonly registry: Registry
  readonly retention: Retention
  /** Of a signal's payload. */
  readonly limit: PayloadLimit
  readonly worker: Pick<Worker, 'cancel' | 'wake'>
  readonly watch: Pick<Watch, 'changed'>
}

/** What operators, and code outside of any run, ask of durable runs and tell them. */
export class Operating implements Omit<Runs, 'get' | 'ended' | 'watch'> {
  readonly #parts: OperatingParts

  constructor(parts: OperatingParts) {
    this.#parts = parts
  }

  async details(id: RunId): Promise<RunDetails | undefined> {
    const { store, registry, retention } = this.#parts
    const found = await store.read({ kind: 'details', run: id })
    return found && detailsOf(found, retention, registry.get(found.record.task))
  }

  async list(asked: Omit<QuestionOf<'list'>, 'kind'>): Promise<readonly Run[]> {
    const { store, retention } = this.#parts
    return (await store.read({ kind: 'list', ...asked })).map((record) => runOf(record, retention))
  }

  tally(filter: RunFilter): Promise<Questions['tally'][1]> {
    return this.#parts.store.read({ kind: 'tally', filter })
  }

  async cancel(id: RunId, reason?: string): Promise<Cancellation | undefined> {
    const answer = await this.#control(id, 'cancel', reason)
    if (answer === undefined) return undefined
    const { done, run } = answer
    this.#parts.worker.cancel(id, reason)
    this.#parts.watch.changed(id, endOf(run))
    if (run.state === 'canceled') return 'canceled'
    return done ? 'canceling' : 'finished'
  }

  async rerun(id: RunId): Promise<Run | undefined> {
    const answer = await this.#control(id, 'rerun')
    if (answer === undefined) return undefined
    const { done, run } = answer
    if (!done) throw isDone(run.state) ? succeeded(id) : notFinished(id, 'run again')
    this.#parts.watch.changed(id)
    this.#parts.worker.wake(run.priority)
    return runOf(run, this.#parts.retention)
  }

  async remove(id: RunId): Promise<boolean | undefined> {
    const answer = await this.#control(id, 'remove')
    if (answer === undefined) return undefined
    if (!answer.done) throw notFinished(id, 'removed')
    this.#parts.watch.changed(id)
    return true
  }

  async signal(id: RunId, name: string, payload: unknown): Promise<true | undefined> {
    const { ledger, watch, worker, limit } = this.#parts
    signalName(name, 'signal(name)')
    const text = encode(payload ?? null, `The payload of the signal "${name}"`, limit) ?? 'null'
    const answer = accepted<'signal'>(await ledger.add({ kind: 'signal', run: id, name, payload: text }))
    if (answer === 'unknown') return undefined
    if (answer === 'finished')
      throw new OffstageError('OFFSTAGE_RUN_FINISHED', `The run ${id} has ended: the signal "${name}" came too late.`)
    watch.changed(id)
    worker.wake()
    return true
  }

  async #control(id: RunId, verb: 'cancel' | 'rerun' | 'remove', reason?: string): Promise<Controlled | undefined> {
    const write = { kind: 'control', run: id, verb, reason: reason ?? null } as const
    const answer = accepted<'control'>(await this.#parts.ledger.add(write))
    return answer === 'unknown' ? undefined : answer
  }
}

const notFinished = (id: RunId, done: string): OffstageError =>
  new OffstageError(
    'OFFSTAGE_RUN_NOT_FINISHED',
    `The run ${id} has not finished and cannot be ${done}. Cancel it first, or wait for its end.`,
  )

const succeeded = (id: RunId): OffstageError =>
  new OffstageError(
    'OFFSTAGE_RUN_FINISHED',
    `The run ${id} has succeeded: there is nothing to run again. Start another.`,
  )

import type { Claim, InstanceId, RunId } from '../../core/claim.ts'
import type { Clock } from '../../core/clock.ts'
import type { InstanceRecord, Liveness } from '../../core/liveness.ts'
import * as rescue from '../../core/rescue.ts'
import { KEPT_EVENTS } from '../../core/run-events.ts'
import { isDone } from '../../core/run-state.ts'
import { realClock } from '../../runtime/world.ts'
import type * as seam from '../store.ts'
import type { Store, WriteOf } from '../store.ts'
import {
  begin,
  born,
  canceled,
  departure,
  eventsOf,
  inserted,
  leave,
  onThread,
  orphaned,
  storedEvent,
  type Kept,
} from './transitions.ts'

export interface MemoryStoreOptions {
  readonly clock?: Clock
  /** Who is alive. Default: everyone, since memory has one process. */
  readonly liveness?: Liveness
}

/** Durable runs that last as long as the process: the reference for every other store, and for tests. */
export const memoryStore = (options: MemoryStoreOptions = {}): Store =>
  new MemoryStore(options.clock ?? realClock, options.liveness ?? oneProcess)

const oneProcess: Liveness = {
  begin: (id) => ({ id, pid: process.pid, boot: '', began: '', pidNamespace: '' }),
  beat: () => {},
  dead: () => [],
  end: () => {},
}

class MemoryStore implements Store {
  readonly flights = 1
  readonly #clock: Clock
  readonly #liveness: Liveness
  /** In the order in which they were inserted. */
  readonly #runs = new Map<RunId, Kept>()
  readonly #instances = new Map<InstanceId, { readonly record: InstanceRecord; readonly dead: boolean }>()

  constructor(clock: Clock, liveness: Liveness) {
    this.#clock = clock
    this.#liveness = liveness
  }

  async open(): Promise<Liveness> {
    return this.#liveness
  }

  /** Copied on the way in and out: what a caller alters afterwards alters nothing here. */
  async write(batch: readonly seam.Write[]): Promise<readonly seam.Answer[]> {
    const now = this.#clock.now()
    return structuredClone(structuredClone(batch).map((write) => this.#apply(write, now)))
  }

  async read<K extends seam.QuestionKind>(question: seam.QuestionOf<K>): Promise<seam.Questions[K][1]> {
    return structuredClone(this.#answer(question as seam.Question)) as seam.Questions[K][1] // the union forgets which answer is whose
  }

  /** Nothing is held open, and the instances of a test may share one store. */
  async close(): Promise<void> {}

  #apply(write: seam.Write, now: number): seam.Answer {
    switch (write.kind) {
      case 'insert':
        return this.#insert(write, now)
      case 'claim':
        return this.#claim(write, now)
      case 'settle':
        return this.#settle(write, now)
      case 'record':
        return this.#record(write)
      case 'note':
        return this.#note(write)
      case 'control':
        return this.#cancel(write, now)
      case 'presence':
        return this.#presence(write)
      case 'rescue':
        return this.#rescue(write, now)
    }
  }

  #insert({ run, claimFor, by }: WriteOf<'insert'>, now: number): seam.AnswerOf<'insert'> {
    if (by && !this.#current(by)) return 'fenced'
    const numbers = [run.version, run.priority, run.maxAttempts, run.delay, run.at ?? 0, run.timeout ?? 0]
    if (!numbers.every(Number.isSafeInteger))
      return { refused: 'OFFSTAGE_BAD_OPTION', message: `The run ${run.id} holds a number that is not whole.` }
    const existing = this.#runs.get(run.id)
    if (existing) return inserted('existing', existing.run, claimFor)
    const kept: Kept = { run: born(run, now), input: run.input, cancel: null, events: [], steps: new Map() }
    this.#runs.set(run.id, kept)
    if (claimFor !== undefined && this.#isAlive(claimFor) && kept.run.dueAt <= now) begin(kept, claimFor, now)
    return inserted('created', kept.run, claimFor)
  }

  #claim({ instance, can, places }: WriteOf<'claim'>, now: number): seam.AnswerOf<'claim'> {
    if (!this.#isAlive(instance)) return 'dead'
    const waiting = this.#inState('waiting')
    const due = waiting.filter(({ run }) => run.dueAt <= now && onThread(run, can) !== undefined)
    const isSuspect = ({ run }: Kept): boolean => run.crashes >= rescue.SUSPECT_AT
    let hasSuspect = this.#inState('running').some((kept) => kept.run.instance === instance && isSuspect(kept))
    let { all, threads } = places
    const claimed: seam.ClaimedRun[] = []
    let left: number | null = null
    for (const kept of due.sort((a, b) => b.run.priority - a.run.priority)) {
      if (hasSuspect && isSuspect(kept)) continue
      const threaded = onThread(kept.run, can) === true
      if (all <= 0 || (threaded && threads <= 0)) {
        left ??= kept.run.priority
        continue
      }
      all--
      if (threaded) threads--
      hasSuspect ||= isSuspect(kept)
      claimed.push({ ...begin(kept, instance, now), input: kept.input })
    }
    const later = waiting.map(({ run }) => run.dueAt - now).filter((ms) => ms > 0)
    return { claimed, left, next: later.length === 0 ? null : later.reduce((a, b) => Math.min(a, b)) }
  }

  #settle({ claim, outcome }: WriteOf<'settle'>, now: number): seam.AnswerOf<'settle'> {
    const kept = this.#current(claim)
    if (!kept) return 'fenced'
    const { state, finishedAt, dueAt } = leave(kept, departure(kept, outcome, now), now)
    return { state, at: finishedAt ?? dueAt }
  }

  #record({ claim, step }: WriteOf<'record'>): seam.AnswerOf<'record'> {
    const kept = this.#current(claim)
    if (!kept) return 'fenced'
    if (!kept.steps.has(step.name)) kept.steps.set(step.name, step)
    return 'done'
  }

  #note({ claim, notes }: WriteOf<'note'>): seam.AnswerOf<'note'> {
    const kept = this.#current(claim)
    if (!kept) return 'fenced'
    const events = notes.map((note, index) => storedEvent(note, kept.run.number + 1 + index))
    const number = kept.run.number + notes.length
    const progress = notes.findLast((note) => note.type === 'progress')?.data ?? kept.run.progress
    const trimmed = Math.max(0, number - KEPT_EVENTS)
    kept.events = [...kept.events, ...events].filter((event) => event.number > trimmed)
    kept.run = { ...kept.run, number, progress, trimmed }
    return 'done'
  }

  #cancel({ run: id, reason }: WriteOf<'control'>, now: number): seam.AnswerOf<'control'> {
    const kept = this.#runs.get(id)
    if (!kept) return 'unknown'
    if (isDone(kept.run.state) || kept.cancel) return kept.run
    kept.cancel = { at: now, reason }
    kept.run = { ...kept.run, cancelRequested: true }
    if (kept.run.state === 'waiting') return leave(kept, canceled(kept), now)
    return (kept.run = { ...kept.run, number: kept.run.number + 1 })
  }

  #presence({ instance, change }: WriteOf<'presence'>): seam.AnswerOf<'presence'> {
    const known = this.#instances.get(instance.id)
    if (change === 'leaves') this.#instances.delete(instance.id)
    else if (!known) this.#instances.set(instance.id, { record: instance, dead: false })
    return change === 'leaves' ? 'gone' : known?.dead ? 'dead' : 'alive'
  }

  #rescue({ dead, limit }: WriteOf<'rescue'>, now: number): seam.AnswerOf<'rescue'> {
    for (const id of dead) {
      const known = this.#instances.get(id)
      if (known) this.#instances.set(id, { ...known, dead: true })
    }
    const orphans = this.#inState('running').filter(({ run }) => !this.#isAlive(run.instance))
    const taken = orphans.slice(0, limit).map((kept) => leave(kept, orphaned(kept, now), now))
    const asked = this.#inState('running').filter(
      ({ cancel }) => cancel && cancel.at <= now - rescue.FORCED_CANCEL_AFTER,
    )
    const forced = asked.slice(0, limit - taken.length).map((kept) => leave(kept, canceled(kept), now))
    const busy = new Set(this.#inState('running').map(({ run }) => run.instance))
    for (const [id, instance] of this.#instances) if (instance.dead && !busy.has(id)) this.#instances.delete(id)
    const { waiting = [], ended = [] } = Object.groupBy([...taken, ...forced], ({ state }) =>
      isDone(state) ? 'ended' : 'waiting',
    )
    return { waiting: waiting.map(({ id }) => id), ended: ended.map(({ id }) => id) }
  }

  #answer(question: seam.Question): seam.Questions[seam.QuestionKind][1] {
    switch (question.kind) {
      case 'find':
        return this.#runs.get(question.run)?.run
      case 'events':
        return eventsOf(this.#runs.get(question.run), question.after)
      case 'steps':
        return [...(this.#runs.get(question.run)?.steps.values() ?? [])]
      case 'instances':
        return [...this.#instances.values()].filter(({ dead }) => !dead).map(({ record }) => record)
      case 'performing':
        return this.#inState('running')
          .filter(({ run }) => run.instance === question.instance)
          .map(({ run: { id: run, attempt, cancelRequested } }) => ({ claim: { run, attempt }, cancelRequested }))
    }
  }

  /** The guard of every write made for an attempt. */
  #current(claim: Claim): Kept | undefined {
    const kept = this.#runs.get(claim.run)
    return kept?.run.state === 'running' && kept.run.attempt === claim.attempt ? kept : undefined
  }

  #isAlive(instance: InstanceId | null): boolean {
    return instance !== null && this.#instances.get(instance)?.dead === false
  }

  /** By due time, then age. */
  #inState(state: 'waiting' | 'running'): readonly Kept[] {
    const kept = [...this.#runs.values()].filter(({ run }) => run.state === state)
    return kept.sort((a, b) => a.run.dueAt - b.run.dueAt)
  }
}

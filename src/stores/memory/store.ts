import type { Clock, Moment } from '../../core/clock.ts'
import { IDEMPOTENCY_FOR } from '../../core/idempotency.ts'
import type { Liveness } from '../../core/liveness.ts'
import { released } from '../../core/outcome.ts'
import * as rescue from '../../core/rescue.ts'
import { isDone, TABLE } from '../../core/run-state.ts'
import { inEmptyContext } from '../../runtime/empty-context.ts'
import { realClock } from '../../runtime/world.ts'
import type * as seam from '../store.ts'
import type { Store, WriteOf } from '../store.ts'
import { addNotes, Keeping, type Kept } from './kept.ts'
import { onThread } from '../../core/version.ts'
import { prune } from './prune.ts'
import { answer } from './questions.ts'
import * as transitions from './transitions.ts'

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

const MISMATCH: seam.Refused = {
  refused: 'OFFSTAGE_IDEMPOTENCY_MISMATCH',
  message: 'Another start of this task and owner has the idempotency key, with another input.',
}

/** A claim or a rescue that found nothing wakes nobody: who is woken claims. */
function tellsOfChange(told: seam.Answer): boolean {
  if (typeof told === 'string') return told === 'done' || told === 'alive' || told === 'gone'
  if ('refused' in told || 'kept' in told) return false
  if ('disposition' in told) return told.disposition === 'created'
  if ('claimed' in told) return told.claimed.length > 0
  if ('waiting' in told) return told.waiting.length + told.ended.length > 0
  if ('removed' in told) return told.removed > 0
  return 'state' in told || told.done
}

class MemoryStore implements Store {
  readonly flights = 1
  readonly #clock: Clock
  readonly #liveness: Liveness
  readonly #keeping = new Keeping()
  readonly #listeners = new Set<{ readonly changed: () => void }>()

  constructor(clock: Clock, liveness: Liveness) {
    this.#clock = clock
    this.#liveness = liveness
  }

  async open(): Promise<Liveness> {
    return this.#liveness
  }

  /** Copied on the way in and out: what a caller alters afterwards alters nothing here. */
  async write(batch: readonly seam.Write[]): Promise<readonly seam.Answer[]> {
    const moment = this.#moment()
    const answers = structuredClone(structuredClone(batch).map((write) => this.#apply(write, moment)))
    if (answers.some(tellsOfChange)) this.#tell()
    return answers
  }

  async read<K extends seam.QuestionKind>(question: seam.QuestionOf<K>): Promise<seam.Questions[K][1]> {
    const found = answer(this.#keeping, question as seam.Question, this.#moment())
    return structuredClone(found) as seam.Questions[K][1] // the union forgets which answer is whose
  }

  wakes(changed: () => void): Disposable {
    const listener = { changed }
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) } // whether it was there is nobody's concern
  }

  within(): undefined {}

  begin(): undefined {}

  /** Nothing is held open, and the instances of a test may share one store. */
  async close(): Promise<void> {}

  #moment(): Moment {
    return { now: this.#clock.now(), steady: this.#clock.monotonic() }
  }

  #apply(write: seam.Write, moment: Moment): seam.Answer {
    const { now } = moment
    switch (write.kind) {
      case 'insert':
        return this.#insert(write, moment)
      case 'claim':
        return this.#claim(write, moment)
      case 'settle':
        return this.#settle(write, now)
      case 'record':
        return this.#record(write)
      case 'note':
        return this.#note(write)
      case 'signal':
        return this.#signal(write, now)
      case 'control':
        return this.#control(write, moment)
      case 'presence':
        return this.#presence(write, now)
      case 'rescue':
        return this.#rescue(write, moment)
      case 'prune':
        return this.#prune(write, now)
    }
  }

  #insert({ run, claimFor, by }: WriteOf<'insert'>, moment: Moment): seam.AnswerOf<'insert'> {
    const { now } = moment
    if (by && !this.#keeping.current(by)) return 'fenced'
    const numbers = [run.version, run.priority, run.maxAttempts, run.delay, run.at ?? 0, run.timeout ?? 0]
    if (!numbers.every(Number.isSafeInteger))
      return { refused: 'OFFSTAGE_BAD_OPTION', message: `The run ${run.id} holds a number that is not whole.` }
    const existing = this.#keeping.runs.get(run.id)
    if (existing) return transitions.inserted('existing', existing.run, claimFor)
    const known = this.#keyed(run)
    if (known && now - known.run.createdAt < IDEMPOTENCY_FOR) {
      const isSame = known.idempotency?.fingerprint === run.idempotency?.fingerprint
      return isSame ? transitions.inserted('existing', known.run, undefined) : MISMATCH
    }
    if (known) known.idempotency = null
    const kept = transitions.born(run, now)
    this.#keeping.runs.set(run.id, kept)
    const isTaken = claimFor !== undefined && this.#keeping.isAlive(claimFor) && kept.run.dueAt <= now
    if (isTaken) transitions.begin(kept, claimFor, moment)
    return transitions.inserted('created', kept.run, claimFor)
  }

  /** The run of that owner and task that has the key. */
  #keyed({ task, owner, idempotency }: seam.NewRun): Kept | undefined {
    if (idempotency === null) return undefined
    return this.#keeping.runs.values().find((kept) => {
      const { run } = kept
      return kept.idempotency?.key === idempotency.key && run.task === task && run.owner === owner
    })
  }

  #claim({ instance, can, places }: WriteOf<'claim'>, moment: Moment): seam.AnswerOf<'claim'> {
    const { now } = moment
    if (!this.#keeping.isAlive(instance)) return 'dead'
    const waiting = this.#keeping.inState('waiting')
    const due = waiting.filter(({ run }) => run.dueAt <= now && onThread(run, can) !== undefined)
    const isSuspect = ({ run }: Kept): boolean => run.crashes >= rescue.SUSPECT_AT
    let { all, threads, suspects } = places
    const claimed: seam.ClaimedRun[] = []
    let left: number | null = null
    for (const kept of due.sort((a, b) => b.run.priority - a.run.priority)) {
      if (isSuspect(kept) && suspects <= 0) continue
      const threaded = onThread(kept.run, can) === true
      if (all <= 0 || (threaded && threads <= 0)) {
        left ??= kept.run.priority
        continue
      }
      all--
      if (threaded) threads--
      if (isSuspect(kept)) suspects--
      claimed.push({ ...transitions.begin(kept, instance, moment), input: kept.input })
    }
    const later = waiting.map(({ run }) => run.dueAt - now).filter((ms) => ms > 0)
    return { claimed, left, next: later.length === 0 ? null : later.reduce((a, b) => Math.min(a, b)) }
  }

  #settle({ claim, outcome, tx = [] }: WriteOf<'settle'>, now: number): seam.AnswerOf<'settle'> {
    const kept = this.#keeping.current(claim)
    if (!kept) return 'fenced'
    if (tx.length > 0) return { refused: 'OFFSTAGE_BAD_OPTION', message: 'The memory store has no transactions.' }
    const { state, finishedAt, dueAt } = transitions.leave(kept, transitions.departure(kept, outcome, now), now)
    return { state, at: finishedAt ?? dueAt }
  }

  #record({ claim, step }: WriteOf<'record'>): seam.AnswerOf<'record'> {
    const kept = this.#keeping.current(claim)
    if (!kept) return 'fenced'
    const known = kept.steps.get(step.name)
    if (known) return { kept: known.result }
    kept.steps.set(step.name, step)
    return 'done'
  }

  #note({ claim, notes }: WriteOf<'note'>): seam.AnswerOf<'note'> {
    const kept = this.#keeping.current(claim)
    if (!kept) return 'fenced'
    addNotes(kept, notes)
    return 'done'
  }

  #signal(write: WriteOf<'signal'>, now: number): seam.AnswerOf<'signal'> {
    const kept = this.#keeping.runs.get(write.run)
    if (!kept) return 'unknown'
    return isDone(kept.run.state) ? 'finished' : transitions.signaled(kept, write, now)
  }

  #control({ run: id, verb, reason }: WriteOf<'control'>, moment: Moment): seam.AnswerOf<'control'> {
    const kept = this.#keeping.runs.get(id)
    if (!kept) return 'unknown'
    const done =
      verb === 'rerun' ? TABLE[kept.run.state].rerun !== undefined : isDone(kept.run.state) === (verb === 'remove')
    if (done && verb === 'cancel') transitions.requestCancel(kept, reason, moment)
    if (done && verb === 'rerun') transitions.rerun(kept, moment.now)
    if (done && verb === 'remove') this.#keeping.runs.delete(id)
    return { done, run: kept.run }
  }

  #presence({ instance, change, can }: WriteOf<'presence'>, now: number): seam.AnswerOf<'presence'> {
    const { instances } = this.#keeping
    if (change === 'leaves') {
      for (const kept of this.#keeping.inState('running').filter(({ run }) => run.instance === instance.id))
        transitions.leave(kept, transitions.departure(kept, released, now), now)
      instances.delete(instance.id)
      return 'gone'
    }
    const known = instances.get(instance.id)
    if (!known) instances.set(instance.id, { record: instance, can, dead: false })
    return known?.dead ? 'dead' : 'alive'
  }

  #rescue({ dead, limit }: WriteOf<'rescue'>, moment: Moment): seam.AnswerOf<'rescue'> {
    const { now } = moment
    const { instances, isOrphan, isOverdue, isCancelOverdue } = this.#keeping
    const marked = dead.filter((id) => this.#keeping.isAlive(id))
    for (const id of marked) {
      const known = instances.get(id)
      if (known) instances.set(id, { ...known, dead: true })
    }
    const taken: seam.RunRecord[] = []
    for (const [isIt, fate] of [
      [isOrphan, transitions.orphaned],
      [isOverdue, transitions.overdue],
      [isCancelOverdue, transitions.canceled],
    ] as const) {
      const found = this.#keeping.inState('running').filter((kept) => isIt(kept, moment))
      taken.push(...found.slice(0, limit - taken.length).map((kept) => transitions.leave(kept, fate(kept, now), now)))
    }
    const busy = new Set(this.#keeping.inState('running').map(({ run }) => run.instance))
    for (const [id, instance] of instances) if (instance.dead && !busy.has(id)) instances.delete(id)
    const { waiting = [], ended = [] } = Object.groupBy(taken, ({ state }) => (isDone(state) ? 'ended' : 'waiting'))
    return { dead: marked, waiting: waiting.map(({ id }) => id), ended: ended.map(({ id }) => id) }
  }

  #prune(write: WriteOf<'prune'>, now: number): seam.AnswerOf<'prune'> {
    return { removed: prune(this.#keeping.runs, write, now) }
  }

  /** In a context of nobody's: what follows from it belongs to no caller. */
  #tell(): void {
    inEmptyContext(() => {
      queueMicrotask(() => {
        for (const { changed } of this.#listeners) changed()
      })
    })
  }
}

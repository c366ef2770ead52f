import type { Claim, InstanceId, RunId } from '../../src/core/claim.ts'
import type { Json } from '../../src/core/json.ts'
import { DEADLINE_GRACE } from '../../src/core/rescue.ts'
import { isDone } from '../../src/core/run-state.ts'
import { isRefused } from '../../src/durable/ledger.ts'
import type { Answer, Claimed, Inserted, NewRun, RunRecord, Store, Write } from '../../src/stores/store.ts'
import type { Witness } from './scheduler.ts'

/** What must be true whatever happens; I1–I7 are those of the claim protocol. */
export type Rule =
  | 'I1 an acknowledged run exists until it has ended'
  | 'I2 the attempt number never goes down'
  | 'I3 a terminal state never changes'
  | 'I4 the recorded end belongs to the current attempt'
  | 'I5 at most one local attempt is current'
  | 'I6 no run is stuck'
  | 'I7 attempts begun ≤ 1 + faults + retries'
  | 'a recorded step is never computed again'
  | 'only a living instance claims'
  | 'a child is started once'
  | 'code begins in a later turn than the answer to its start'
  | 'a run ends as its code and its cancels say'
  | 'who waits hears what the store says'
  | 'cancel answers the truth'
  | 'no run begins before it is due'
  | 'a key stands for one run'
  | 'output is in order and told once'
  | 'nothing is left armed'
  | 'the store answers'

/** A rule was broken. */
export class Violation extends Error {
  readonly rule: Rule

  constructor(rule: Rule, message: string) {
    super(message)
    this.rule = rule
  }
}

/** A reply that takes that long may find its claim given back: unknown at two looks, half a second apart. */
const LATE = 500

const OVERDUE = 'its deadline passed'

/** All that was seen of one run. */
export interface Story {
  readonly id: RunId
  readonly task: string
  readonly input: unknown
  readonly parent: RunId | null
  /** As the last commit that may have changed it left it. */
  record: RunRecord | undefined
  acked: boolean
  /** Committed as claimed by its starter, who has to be answered before it begins. */
  readonly isBornClaimed: boolean
  cancelAsked: boolean
  /** Somebody was told that it is being canceled. */
  canceling: boolean
  readonly claimedAt: Map<number, number>
  readonly begun: Map<number, { readonly by: Witness; readonly isLate: boolean }>
  /** Attempts whose code threw, or was told that its time is over. */
  readonly failed: Set<number>
  /** Attempts whose time was over, by the store's clock. */
  readonly overdue: Set<number>
  readonly steps: Map<string, number>
  /** Attempts that had begun and were repeated for a reason. */
  repeats: number
  /** Attempts that began after they had been given back: their claim's reply was late. */
  late: number
}

/** Looks at every commit, and at whatever the code of the tasks sees. */
export class Invariants {
  readonly stories = new Map<RunId, Story>()
  /** How often each situation came up: a net that never meets one proves nothing about it. */
  readonly met = new Map<string, number>()
  readonly #store: Store
  readonly #now: () => number
  readonly #wall: () => number
  readonly #fail: (error: unknown) => void
  readonly #holder: (instance: InstanceId) => Witness | undefined
  #open = 0
  /** Instances that were marked dead, or left. */
  readonly #over = new Set<InstanceId>()
  /** Told at the end: what comes of it, if anything does, is told first. */
  #claimedDead: Violation | undefined

  constructor(
    store: Store,
    parts: {
      readonly now: () => number
      readonly wall: () => number
      readonly fail: (error: unknown) => void
      readonly holder: (id: InstanceId) => Witness | undefined
    },
  ) {
    this.#store = store
    this.#now = parts.now
    this.#wall = parts.wall
    this.#fail = parts.fail
    this.#holder = parts.holder
  }

  /** Runs that have not ended. */
  get open(): number {
    return this.#open
  }

  story(run: RunId): Story {
    const story = this.stories.get(run)
    if (story === undefined)
      throw new Violation('I1 an acknowledged run exists until it has ended', `${run} was never committed`)
    return story
  }

  async committed(by: Witness, write: Write, answer: Answer): Promise<void> {
    if (by.gone) this.meets('a commit for a process that is gone')
    if (isRefused(answer)) throw new Violation('the store answers', `${write.kind} was refused: ${answer.message}`)
    switch (write.kind) {
      case 'insert': {
        if (answer === 'fenced') return
        const { id, disposition, claimed } = answer as Inserted // the seam pairs it with the kind
        this.meets(`a start: ${disposition}${claimed ? ', born claimed' : ''}`)
        if (disposition === 'created') this.#inserted(write.run, write.by === undefined && claimed)
        return this.#look(id, write)
      }
      case 'claim':
        if (answer === 'dead') this.meets('a claim of an instance held for dead')
        else for (const { id } of (answer as Claimed).claimed) await this.#look(id, write) // the seam pairs it with the kind
        return
      case 'settle':
        if (answer === 'fenced') this.meets('an end was fenced')
        return this.#look(write.claim.run, write)
      case 'record': {
        const { steps } = this.story(write.claim.run)
        if (answer === 'fenced') this.meets('a step was fenced')
        if (answer === 'done' && !steps.has(write.step.name)) steps.set(write.step.name, write.claim.attempt)
        return
      }
      case 'control':
        if (this.stories.has(write.run)) this.story(write.run).cancelAsked = true
        return this.#look(write.run, write)
      case 'presence':
        if (write.change === 'joins') return
        by.left = true
        this.#over.add(write.instance.id)
        return this.#lookAtAll(write)
      case 'rescue':
        for (const id of write.dead) this.#over.add(id)
        return this.#lookAtAll(write)
      case 'prune':
        return this.#lookAtAll(write)
      case 'signal':
        return this.#look(write.run, write)
      case 'note':
    }
  }

  /** The promise of a start was kept: from here on the run may not be lost. */
  acked(run: RunId): void {
    const story = this.story(run)
    story.acked = true
    if (story.record === undefined)
      throw new Violation('I1 an acknowledged run exists until it has ended', `${run} is gone`)
  }

  meets(situation: string): void {
    this.met.set(situation, (this.met.get(situation) ?? 0) + 1)
  }

  /** For what the code of a task sees: an error thrown there would be taken for the task's own. */
  #breaks(rule: Rule, message: string): void {
    this.#fail(new Violation(rule, message))
  }

  begins(by: Witness, { run, attempt }: Claim): void {
    const story = this.story(run)
    const { record, claimedAt, begun, isBornClaimed, acked } = story
    if (begun.has(attempt))
      return this.#breaks('I5 at most one local attempt is current', `${run}#${attempt} began twice`)
    const claimed = claimedAt.get(attempt) ?? Number.NEGATIVE_INFINITY
    const isLate = this.#now() - claimed >= LATE || by.wentOn >= claimed || by.wasSilent
    begun.set(attempt, { by, isLate })
    if (attempt === 1 && isBornClaimed && !acked)
      return this.#breaks('code begins in a later turn than the answer to its start', run)
    if (record?.state === 'running' && record.attempt === attempt) return
    story.late++
    this.meets('an attempt began when it was no longer current')
    if (!isLate && !story.overdue.has(attempt))
      return this.#breaks(
        'I7 attempts begun ≤ 1 + faults + retries',
        `${run}#${attempt} began when it was no longer current, and its claim was answered in time`,
      )
  }

  /** The code of an attempt threw, or was told to stop because its time was over. */
  fails({ run, attempt }: Claim): void {
    this.story(run).failed.add(attempt)
  }

  /** The code of an attempt came to its end. */
  ends(by: Witness, { run, attempt }: Claim): void {
    const { record } = this.story(run)
    if (record?.state !== 'running' || record.attempt !== attempt) by.outlived = true
  }

  computes({ run, attempt }: Claim, step: string): void {
    const recorded = this.story(run).steps.get(step)
    if (recorded !== undefined && recorded <= attempt)
      return this.#breaks(
        'a recorded step is never computed again',
        `"${step}" of ${run} was recorded by attempt ${recorded} and is computed by attempt ${attempt}`,
      )
  }

  #inserted(run: NewRun, isBornClaimed: boolean): void {
    if (this.stories.has(run.id)) return
    const { id, task, parent } = run
    this.stories.set(id, {
      id,
      task,
      input: run.input === null ? undefined : JSON.parse(run.input),
      parent,
      record: undefined,
      acked: false,
      isBornClaimed,
      cancelAsked: false,
      canceling: false,
      claimedAt: new Map(),
      begun: new Map(),
      failed: new Set(),
      overdue: new Set(),
      steps: new Map(),
      repeats: 0,
      late: 0,
    })
    this.#open++
    const siblings = [...this.stories.values()].filter((one) => parent !== null && one.parent === parent)
    const inputs = new Set(siblings.map(({ input }) => JSON.stringify(input)))
    // Each child of a parent has an input of its own.
    if (inputs.size < siblings.length)
      throw new Violation('a child is started once', `the run ${parent ?? ''} has two children for one place`)
  }

  async #lookAtAll(write: Write): Promise<void> {
    for (const id of this.stories.keys()) await this.#look(id, write)
  }

  async #look(id: RunId, write: Write): Promise<void> {
    const story = this.stories.get(id)
    if (story === undefined) return
    const before = story.record
    const after = await this.#store.read({ kind: 'find', run: id })
    story.record = after
    if (after === undefined) {
      if (before === undefined || !isDone(before.state))
        throw new Violation(
          'I1 an acknowledged run exists until it has ended',
          `${id} was ${before?.state ?? 'never there'} and is gone after ${write.kind}`,
        )
      return
    }
    if (before !== undefined) this.#judge(story, { before, after, write })
    if (after.state === 'running' && before?.attempt !== after.attempt) this.#claimed(story, after)
    if (isDone(after.state) && (before === undefined || !isDone(before.state))) this.#open--
  }

  #claimed({ id, claimedAt }: Story, { attempt, instance, dueAt }: RunRecord): void {
    if (dueAt > this.#wall())
      throw new Violation('no run begins before it is due', `${id}#${attempt}: ${dueAt} > ${this.#wall()}`)
    if (instance === null || this.#over.has(instance))
      this.#claimedDead ??= new Violation(
        'only a living instance claims',
        `${id}#${attempt} by ${instance ?? 'nobody'}`,
      )
    if (claimedAt.has(attempt))
      throw new Violation('I2 the attempt number never goes down', `${id}#${attempt} was claimed twice`)
    claimedAt.set(attempt, this.#now())
  }

  #judge(story: Story, change: Change): void {
    const { before, after, write } = change
    const words = `${story.id}: ${before.state}#${before.attempt} → ${after.state}#${after.attempt} by ${write.kind}`
    if (
      isDone(before.state) &&
      (after.state !== before.state || after.result !== before.result || after.attempt !== before.attempt)
    )
      throw new Violation('I3 a terminal state never changes', words)
    if (after.attempt < before.attempt) throw new Violation('I2 the attempt number never goes down', words)
    const ended = isDone(after.state) && !isDone(before.state)
    const isStale = write.kind === 'settle' && write.claim.attempt !== before.attempt
    if (ended && (isStale || (after.state === 'succeeded' && writer(after) !== before.attempt)))
      throw new Violation('I4 the recorded end belongs to the current attempt', words)
    if (before.state !== 'running' || (after.state === 'running' && after.attempt === before.attempt)) return
    const cause = this.#cause(story, change)
    this.meets(`an attempt is over: ${cause ?? 'for no reason'}`)
    if (cause === OVERDUE) story.overdue.add(before.attempt)
    if (ended) this.meets(`a run ended: ${after.reason ?? after.state}`)
    if (cause === undefined)
      throw new Violation(
        'I7 attempts begun ≤ 1 + faults + retries',
        `${words}: taken from a living holder for no reason`,
      )
    if (!isDone(after.state) && story.begun.has(before.attempt)) story.repeats++
  }

  /** Why a running attempt is no longer the current one; undefined: for no reason that there may be. */
  #cause(story: Story, { before, after, write }: Change): string | undefined {
    const { attempt } = before
    if (write.kind === 'rescue') {
      if (after.state === 'canceled' && before.cancelRequested) return 'canceled by force'
      const { timeout } = before
      // In whole milliseconds, of the clock that nobody sets.
      const claimed = Math.floor(story.claimedAt.get(attempt) ?? 0)
      if (timeout !== null && Math.floor(this.#now()) > claimed + timeout + DEADLINE_GRACE) return OVERDUE
      const holder = before.instance === null ? undefined : this.#holder(before.instance)
      return holder === undefined || holder.gone || holder.left || holder.wasSilent ? 'its holder died' : undefined
    }
    if (write.kind === 'presence') return before.instance === write.instance.id ? 'its holder left' : undefined
    if (write.kind !== 'settle' || write.claim.attempt !== attempt) return undefined
    const { kind } = write.outcome
    const begun = story.begun.get(attempt)
    if (kind === 'succeeded') return begun === undefined ? undefined : kind
    if (kind === 'retry' || kind === 'failed') return story.failed.has(attempt) ? kind : undefined
    if (kind === 'parked' && begun !== undefined) {
      // Its code waits for ever: it comes to no end.
      begun.by.performing--
      return kind
    }
    if (kind === 'canceled') return story.cancelAsked ? kind : undefined
    // One whose claim was answered late may have been looked for meanwhile; one that was held for dead gives up what it held.
    return begun === undefined || begun.isLate || begun.by.closing || begun.by.wasSilent ? kind : undefined
  }

  /** When everything has ended: whether each run ended as it had to. */
  atEnd(expected: (story: Story) => unknown): void {
    if (this.#claimedDead !== undefined) throw this.#claimedDead
    for (const story of this.stories.values()) {
      const { id, record, begun, repeats, late } = story
      if (record === undefined) continue
      if (begun.size > 1 + repeats + late)
        throw new Violation(
          'I7 attempts begun ≤ 1 + faults + retries',
          `${id}: ${begun.size} > 1 + ${repeats} + ${late}`,
        )
      if (story.canceling && record.state === 'failed' && record.reason !== 'poisoned')
        throw new Violation('cancel answers the truth', `${id} was being canceled and failed: ${record.reason ?? ''}`)
      if (!isAsItHadToEnd(story, record, expected(story)))
        throw new Violation(
          'a run ends as its code and its cancels say',
          `${id} (${story.task}): ${JSON.stringify(record)}`,
        )
    }
  }
}

interface Change {
  readonly before: RunRecord
  readonly after: RunRecord
  readonly write: Write
}

/** The result of every task's code names the attempt that came to it. */
export interface Result {
  readonly attempt: number
  readonly value: Json
}

const resultOf = ({ result }: RunRecord): Result => JSON.parse(result ?? 'null') as Result // the workload's own

const writer = (record: RunRecord): number => resultOf(record).attempt

function isAsItHadToEnd(story: Story, record: RunRecord, expected: unknown): boolean {
  const { state, reason, crashes, tries, maxAttempts, onCrash } = record
  if (state === 'canceled') return story.cancelAsked
  if (state === 'succeeded') return JSON.stringify(resultOf(record).value) === JSON.stringify(expected)
  if (state !== 'failed') return false
  if (reason === 'poisoned') return crashes >= 3
  if (reason === 'timeout' && tries >= maxAttempts) return true
  if (reason === 'crashed') return onCrash === 'fail' || tries >= maxAttempts
  return tries >= maxAttempts && story.failed.has(record.attempt)
}

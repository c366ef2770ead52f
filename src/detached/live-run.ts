import type { RunId } from '../core/claim.ts'
import type { AttemptDetails, Reason, ProgressRecord, Run, RunDetails, RunError, RunSnapshot } from '../core/run.ts'
import { EVENTS_PAGE, KEPT_EVENTS, type StoredEvent } from '../core/run-events.ts'
import { isDone, next, type RunVerb, type State } from '../core/run-state.ts'
import type { RunEnd, StartRequest } from '../core/runs.ts'
import type { Ending } from '../runtime/ending.ts'
import type { View } from '../runtime/follow.ts'
import { maskOf, type Mask } from '../runtime/mask.ts'

/** Ended runs stay readable for that long, and that many of them: what HTTP and handles can still ask for. */
export const REMEMBERED: { readonly ms: number; readonly runs: number } = { ms: 600_000, runs: 1_000 }

type Change = { -readonly [K in keyof LiveRunFields]?: LiveRunFields[K] }
interface LiveRunFields {
  readonly dueAt: number
  readonly startedAt: number | null
  readonly finishedAt: number | null
  readonly reason: Reason | null
  readonly error: RunError | null
  readonly progress: ProgressRecord | null
  readonly cancelRequested: boolean
  /** What the latest attempt came to; null while it is under way, or none was. */
  readonly attempted: Attempted | null
}
interface Attempted {
  readonly came: 'retry' | 'succeeded' | 'failed' | 'canceled'
  readonly endedAt: number
  readonly error: RunError | null
}

/** One run in memory: the record, its events, and who waits for a change of it. */
export class LiveRun {
  readonly id: RunId
  readonly request: StartRequest
  readonly createdAt: number
  state: State = 'waiting'
  attempt = 0
  tries = 0
  /** What the task returned or threw, as it was. */
  end: RunEnd | undefined
  /** Aborts the attempt under way. */
  ending: Ending | undefined
  /** The timer of a run that is due later. */
  alarm: Disposable | undefined
  /** It is due, and begins when a place is free. */
  inLine = false
  #mask: Mask | undefined
  #fields: LiveRunFields
  #events: StoredEvent[] = []
  #number = 1
  #trimmed = 0
  #firstOutput: number | null = null
  readonly #waiting = new Set<() => void>()

  constructor(id: RunId, request: StartRequest, moments: { readonly createdAt: number; readonly dueAt: number }) {
    this.id = id
    this.request = request
    this.createdAt = moments.createdAt
    this.#fields = {
      dueAt: moments.dueAt,
      startedAt: null,
      attempted: null,
      finishedAt: null,
      reason: null,
      error: null,
      progress: null,
      cancelRequested: false,
    }
  }

  get done(): boolean {
    return isDone(this.state)
  }

  get dueAt(): number {
    return this.#fields.dueAt
  }

  get cancelRequested(): boolean {
    return this.#fields.cancelRequested
  }

  /** Hides what the task redacts. Made when something is told of the run. */
  get mask(): Mask {
    return (this.#mask ??= maskOf(this.request.task.redact, this.request.input))
  }

  /** As events tell it. */
  told(): Run {
    return this.mask.run(this.run())
  }

  /** Of the attempts only the latest is known; lines go to the logger alone. */
  details(): RunDetails {
    const { input, task } = this.request
    const run = this.run()
    const mask = maskOf(task.redact, input, run.result)
    return { run: mask.run(run), input: mask.value(input), attempts: this.#attempts(mask), steps: [] }
  }

  #attempts(mask: Mask): readonly AttemptDetails[] {
    const { startedAt, attempted } = this.#fields
    if (startedAt === null) return []
    const error = attempted?.error ?? null
    return [
      {
        attempt: this.attempt,
        came: attempted?.came ?? 'running',
        instance: null,
        startedAt: new Date(startedAt),
        endedAt: dateOf(attempted?.endedAt ?? null),
        ...(error === null ? {} : { error: mask.failure(error) }),
        logs: [],
      },
    ]
  }

  /** A verb of the state table, with what changes by it: one event. */
  move(verb: RunVerb, change: Change): void {
    this.state = next(this.state, verb)
    this.touch(change)
  }

  touch(change: Change): void {
    this.#fields = { ...this.#fields, ...change }
    this.#number++
    this.#wake()
  }

  note(
    event:
      | { readonly type: 'progress'; readonly data: ProgressRecord }
      | { readonly type: 'output'; readonly data: unknown },
  ): void {
    const number = ++this.#number
    this.#events.push({ number, ...event } as StoredEvent) // in memory an output is whatever the task gave
    if (event.type === 'progress') this.#fields = { ...this.#fields, progress: event.data }
    else this.#firstOutput ??= number
    if (this.#events.length > KEPT_EVENTS) this.#trim()
    this.#wake()
  }

  snapshot(): RunSnapshot {
    return { run: this.run(), number: this.#number }
  }

  view(after: number): View {
    // Numbers rise: the newest are at the end.
    const from = this.#events.findLastIndex((event) => event.number <= after) + 1
    return {
      ...this.snapshot(),
      trimmed: this.#trimmed,
      firstOutput: this.#firstOutput,
      events: this.#events.slice(from, from + EVENTS_PAGE),
    }
  }

  /** Settles at the next change, or when the signal fires. */
  change(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => {
      this.#waiting.delete(wake)
      signal.removeEventListener('abort', wake)
      resolve()
    }
    this.#waiting.add(wake)
    signal.addEventListener('abort', wake, { once: true })
    return promise
  }

  run(): Run {
    const { task, options, parent } = this.request
    const { dueAt, startedAt, finishedAt, reason, error, progress, cancelRequested } = this.#fields
    return {
      id: this.id,
      task: task.name,
      version: task.version,
      durable: false,
      thread: task.thread,
      state: this.state,
      done: this.done,
      attempt: this.attempt,
      tries: this.tries,
      maxAttempts: task.retry.attempts,
      reason,
      queue: options.queue,
      priority: options.priority,
      createdAt: new Date(this.createdAt),
      dueAt: new Date(dueAt),
      startedAt: dateOf(startedAt),
      finishedAt: dateOf(finishedAt),
      expiresAt: finishedAt === null ? null : new Date(finishedAt + REMEMBERED.ms),
      waitingFor: null,
      progress,
      ...(this.end?.state === 'succeeded' && this.end.result !== undefined ? { result: this.end.result } : {}),
      ...(error === null ? {} : { error }),
      cancelRequested,
      owner: options.owner,
      tags: options.tags,
      instance: null,
      parent,
      schedule: null,
    }
  }

  #trim(): void {
    this.#trimmed = this.#events.shift()?.number ?? this.#trimmed
    this.#firstOutput = this.#events.find((event) => event.type === 'output')?.number ?? null
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }
}

const dateOf = (moment: number | null): Date | null => (moment === null ? null : new Date(moment))

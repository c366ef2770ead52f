import type { Claim, RunId } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import { CanceledError, OffstageError, ShutdownError } from '../core/errors.ts'
import { toFailure } from '../core/failure.ts'
import type { Logger } from '../core/logger.ts'
import type { Verdict } from '../core/outcome.ts'
import type { Random } from '../core/random.ts'
import type { RunSnapshot } from '../core/run.ts'
import type { RunEvent } from '../core/run-events.ts'
import type { RunEnd, Runs, Started, Starter, StartRequest } from '../core/runs.ts'
import type { Cancellation } from '../core/start.ts'
import type { TaskContext } from '../core/task.ts'
import type { Channels } from '../runtime/channels.ts'
import { createContext } from '../runtime/context.ts'
import type { Drainable, Drained } from '../runtime/drain.ts'
import { Ending } from '../runtime/ending.ts'
import type { Executor } from '../runtime/executor.ts'
import { Lending } from '../runtime/lending.ts'
import { Limiter } from '../runtime/limiter.ts'
import { perform } from '../runtime/perform.ts'
import { Throttle } from '../runtime/throttle.ts'
import { timeoutIn } from '../runtime/timers.ts'
import { LiveRun, LiveRuns } from './live-runs.ts'

export interface DetachedParts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly channels: Channels
  /** One for the event loop and one for threads: where a task's code runs, how many at once, how many may wait. */
  readonly loop: Places
  readonly threads: Places
  /** `ctx.start` of a run in memory. */
  startFrom(parent: RunId, lend: Lending['lend']): TaskContext['start']
}
export interface Places {
  readonly executor: Executor
  readonly concurrency: number
  readonly capacity: number
  /** The option that bounds it, for the sentence that says so. */
  readonly option: string
}

const PROGRESS_EVERY = 250

/** Where runs of one kind wait for their places. */
interface Line {
  readonly places: Places
  readonly limiter: Limiter<LiveRun>
  waiting: number
}

/** Runs in memory: performed in this process after their starter went on, reported if they fail, gone if the process dies. */
export class Detached implements Runs, Starter, Drainable {
  readonly #parts: DetachedParts
  readonly #runs: LiveRuns
  readonly #loop: Line
  readonly #threads: Line
  readonly #empty = new Set<() => void>()
  readonly #abandoned: Drained[] = []
  #closed = false
  /** While it drains: what is due later than that will not be done. */
  #horizon = Number.POSITIVE_INFINITY

  constructor(parts: DetachedParts) {
    this.#parts = parts
    this.#runs = new LiveRuns(parts.clock)
    const line = (places: Places): Line => {
      const self: Line = {
        places,
        waiting: 0,
        limiter: new Limiter(places.concurrency, parts.clock, (run) => this.#perform(run, self)),
      }
      return self
    }
    this.#loop = line(parts.loop)
    this.#threads = line(parts.threads)
  }

  async start(requests: readonly StartRequest[]): Promise<readonly Started[]> {
    for (const line of [this.#loop, this.#threads])
      if (line.waiting + requests.filter((request) => this.#lineOf(request) === line).length > line.places.capacity)
        throw overloaded(line.places)
    return requests.map((request) => this.begin(request))
  }

  /** Takes a place or refuses, at once; the task's first line runs in a later turn, and not before `gate` opens. */
  begin(request: StartRequest, gate?: Promise<void>): Started {
    if (this.#closed) throw new ShutdownError()
    const { clock, random } = this.#parts
    const line = this.#lineOf(request)
    if (line.waiting >= line.places.capacity) throw overloaded(line.places)
    const createdAt = clock.now()
    const dueAt = request.options.at ?? createdAt + request.options.delay
    const run = new LiveRun(random.runId(), request, { createdAt, dueAt })
    this.#runs.add(run)
    line.waiting++
    const enter = (): void => this.#enterIn(run, line, Math.max(0, dueAt - createdAt))
    if (gate === undefined) enter()
    else void gate.then(() => run.done || enter()) // a gate never rejects
    return { id: run.id, disposition: 'created' }
  }

  async get(id: RunId): Promise<RunSnapshot | undefined> {
    return this.#runs.find(id)?.snapshot()
  }

  async cancel(id: RunId, reason?: string): Promise<Cancellation | undefined> {
    const run = this.#runs.find(id)
    if (run === undefined) return undefined
    if (run.done) return run.state === 'canceled' ? 'canceled' : 'finished'
    const why = new CanceledError(reason)
    if (run.state === 'waiting') {
      this.#dismiss(run, why)
      return 'canceled'
    }
    run.touch({ cancelRequested: true })
    run.ending?.abort(why)
    return 'canceling'
  }

  async ended(id: RunId, signal?: AbortSignal): Promise<RunEnd | undefined> {
    const run = this.#runs.find(id)
    const forever = new AbortController().signal
    while (run !== undefined && run.end === undefined) {
      signal?.throwIfAborted()
      await run.change(signal ?? forever)
    }
    return run?.end
  }

  watch(id: RunId, options?: { readonly after?: number; readonly signal?: AbortSignal }): AsyncIterable<RunEvent> {
    return this.#runs.watch(id, options)
  }

  async idle(ms: number): Promise<void> {
    this.#closed = true
    this.#horizon = this.#parts.clock.now() + ms
    this.#dismissAll((run) => this.#isTooLate(run))
    while (this.#runs.size > 0) await new Promise<void>((resolve) => this.#empty.add(resolve))
  }

  abandon(): readonly Drained[] {
    this.#closed = true
    this.#dismissAll(() => true)
    for (const run of this.#runs.live()) {
      this.#abandoned.push(named(run))
      run.ending?.abort(new ShutdownError())
    }
    return this.#abandoned
  }

  /** It is due when this instance will have ended. */
  #isTooLate(run: LiveRun): boolean {
    return run.dueAt > this.#horizon
  }

  #dismissAll(which: (run: LiveRun) => boolean): void {
    for (const run of this.#runs.live().filter((live) => live.state === 'waiting' && which(live))) this.#giveUp(run)
  }

  #giveUp(run: LiveRun): void {
    this.#abandoned.push(named(run))
    this.#dismiss(run, new ShutdownError())
  }

  #lineOf(request: StartRequest): Line {
    return request.task.thread ? this.#threads : this.#loop
  }

  #enterIn(run: LiveRun, line: Line, ms: number): void {
    run.alarm = undefined
    if (ms > 0) run.alarm = timeoutIn(this.#parts.clock, ms, () => this.#enterIn(run, line, 0))
    else line.limiter.add(run, run.request.options.priority)
  }

  async #perform(run: LiveRun, line: Line): Promise<void> {
    line.waiting--
    run.attempt++
    run.tries++
    run.ending = new Ending()
    run.move('claim', { startedAt: this.#parts.clock.now() })
    this.#parts.channels.tell('run:started', () => ({ run: run.run() }))
    const verdict = await this.#attempt(run, run.ending, line)
    run.ending = undefined
    this.#settle(run, verdict, line)
  }

  async #attempt(run: LiveRun, ending: Ending, line: Line): Promise<Verdict> {
    const { clock, random, channels } = this.#parts
    const { task } = run.request
    const claim: Claim = { run: run.id, attempt: run.attempt }
    const progress = new Throttle<Parameters<LiveRun['note']>[0]>(clock, PROGRESS_EVERY, (note) => run.note(note))
    const { executor } = line.places
    // Code that heeds no signal may go on beside the next attempt: what it tells is not that one's.
    const isCurrent = (): boolean => run.ending === ending
    const lending = new Lending(line.limiter, executor)
    const context = createContext({
      claim,
      task: task.name,
      ending,
      logger: this.#parts.logger,
      progress: (data) => isCurrent() && progress.push({ type: 'progress', data }),
      emit: (data) => isCurrent() && run.note({ type: 'output', data }),
      start: this.#parts.startFrom(run.id, (wait) => lending.lend(wait)),
    })
    const origin = {
      claim,
      task: task.name,
      report: (_: unknown, error: unknown) => channels.tell('task:stray', () => ({ claim, task: task.name, error })),
    }
    const trial = { retry: task.retry, onCrash: task.onCrash, maxAttempts: task.retry.attempts, tries: run.tries }
    const call = { claim, task, input: run.request.input, context }
    const verdict = await perform({ call, trial, ending, origin, keep: (value) => value }, { executor, clock, random })
    lending.end()
    progress.flush()
    return verdict
  }

  #settle(run: LiveRun, { outcome, thrown }: Verdict, line: Line): void {
    // Asked for while the code was ending by itself: it must not be tried again.
    if (run.cancelRequested && outcome.kind !== 'succeeded')
      return this.#end(run, 'cancel', {
        state: 'canceled',
        error: thrown instanceof CanceledError ? thrown : new CanceledError(),
      })
    switch (outcome.kind) {
      case 'succeeded':
        return this.#end(run, 'succeed', { state: 'succeeded', result: outcome.result })
      case 'failed':
        return this.#end(run, 'fail', { state: 'failed', reason: outcome.reason, error: thrown })
      case 'canceled':
        return this.#end(run, 'cancel', { state: 'canceled', error: thrown })
      case 'released':
        return this.#end(run, 'cancel', { state: 'canceled', error: new ShutdownError() })
      case 'retry':
        run.move('retry', { dueAt: this.#parts.clock.now() + outcome.after, error: outcome.error })
        this.#parts.channels.tell('run:retried', () => ({ run: run.run(), error: thrown }))
        line.waiting++
        return this.#isTooLate(run) ? this.#giveUp(run) : this.#enterIn(run, line, outcome.after)
    }
  }

  /** Ends a run that waits. */
  #dismiss(run: LiveRun, why: CanceledError | ShutdownError): void {
    run.alarm?.[Symbol.dispose]()
    const line = this.#lineOf(run.request)
    line.waiting--
    line.limiter.remove(run, run.request.options.priority)
    this.#end(run, 'cancel', { state: 'canceled', error: why })
  }

  #end(run: LiveRun, verb: 'succeed' | 'fail' | 'cancel', end: RunEnd): void {
    const { channels, clock } = this.#parts
    run.end = end
    const reason = end.state === 'failed' ? end.reason : end.state === 'canceled' ? 'canceled' : null
    run.move(verb, { finishedAt: clock.now(), reason, error: end.state === 'succeeded' ? null : toFailure(end.error) })
    this.#runs.ended(run)
    if (end.state === 'failed') channels.tell('run:failed', () => ({ run: run.run(), error: end.error }))
    else if (end.state === 'canceled') channels.tell('run:canceled', () => ({ run: run.run() }))
    else channels.tell('run:succeeded', () => ({ run: run.run() }))
    for (const resolve of this.#empty) resolve()
    this.#empty.clear()
  }
}

const named = (run: LiveRun): Drained => ({ id: run.id, task: run.request.task.name, durable: false })

const overloaded = ({ capacity, option }: Places): OffstageError =>
  new OffstageError(
    'OFFSTAGE_OVERLOADED',
    `${capacity.toLocaleString('en')} runs are waiting, which is all that \`${option}\` allows. Nothing was started; try again later.`,
  )

import type { RunId } from '../core/claim.ts'
import { CanceledError, ShutdownError } from '../core/errors.ts'
import { toFailure } from '../core/failure.ts'
import type { Outcome, Verdict } from '../core/outcome.ts'
import type { Run, RunDetails, RunSnapshot } from '../core/run.ts'
import type { RunEvent } from '../core/run-events.ts'
import type { State } from '../core/run-state.ts'
import type { RunEnd, RunFilter, Runs, Started, Starter, StartRequest } from '../core/runs.ts'
import type { Cancellation } from '../core/start.ts'
import type { Drainable, Drained, DrainReport } from '../runtime/drain.ts'
import { Ending } from '../runtime/ending.ts'
import { timeoutIn } from '../runtime/timers.ts'
import { attempt, type AttemptParts } from './attempt.ts'
import { Line, type Places } from './line.ts'
import { LiveRun } from './live-run.ts'
import { LiveRuns, notDurable } from './live-runs.ts'

export interface DetachedParts extends AttemptParts {
  /** One for the event loop and one for threads: where a task's code runs, how many at once, how many may wait. */
  readonly loop: Places
  readonly threads: Places
}
/** Runs in memory: performed in this process after their starter went on, reported if they fail, gone if the process dies. */
export class Detached implements Runs, Starter, Drainable {
  readonly #parts: DetachedParts
  readonly #runs: LiveRuns
  readonly #loop: Line
  readonly #threads: Line
  /** For the end of an attempt. */
  readonly #waiting = new Set<() => void>()
  /** Attempts, ever; and runs that are in line or under way now. */
  #begun = 0
  #busy = 0
  readonly #abandoned: Drained[] = []
  #closed = false
  /** While it drains: what is due later than that will not be done. */
  #horizon = Number.POSITIVE_INFINITY

  constructor(parts: DetachedParts) {
    this.#parts = parts
    this.#runs = new LiveRuns(parts.clock)
    const perform = (run: LiveRun, line: Line): Promise<void> => this.#perform(run, line)
    this.#loop = new Line(parts.loop, parts.clock, perform)
    this.#threads = new Line(parts.threads, parts.clock, perform)
  }

  async start(requests: readonly StartRequest[]): Promise<readonly Started[]> {
    for (const { task, options } of requests) if (options.tx !== undefined) throw notDurable(`\`tx\``, task.name)
    const fresh = requests.filter((request) => this.#runs.known(request) === undefined)
    for (const line of [this.#loop, this.#threads])
      line.admit(fresh.filter((request) => this.#lineOf(request) === line).length)
    return requests.map((request) => this.begin(request))
  }

  /** Takes a place or refuses, at once; the task's first line runs in a later turn, and not before `gate` opens. */
  begin(request: StartRequest, gate?: Promise<void>): Started {
    if (this.#closed) throw new ShutdownError()
    const known = this.#runs.known(request)
    if (known !== undefined) return { id: known.id, disposition: 'existing' }
    const { clock, random } = this.#parts
    const line = this.#lineOf(request)
    line.admit(1)
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

  details(id: RunId): Promise<RunDetails | undefined> {
    return this.#runs.details(id)
  }

  list(asked: Parameters<Runs['list']>[0]): Promise<readonly Run[]> {
    return this.#runs.list(asked)
  }

  tally(filter: RunFilter): Promise<Readonly<Record<State, number>>> {
    return this.#runs.tally(filter)
  }

  rerun(id: RunId): Promise<undefined> {
    return this.#runs.rerun(id)
  }

  remove(id: RunId): Promise<true | undefined> {
    return this.#runs.remove(id)
  }

  signal(id: RunId): Promise<undefined> {
    return this.#runs.signal(id)
  }

  /** Waits until nothing is under way and nothing is due, or until the signal fires. */
  async drain(signal: AbortSignal): Promise<DrainReport> {
    const before = this.#begun
    while (this.#busy > 0 && !signal.aborted) await this.#ends(signal)
    return { performed: this.#begun - before, left: this.#busy > 0 }
  }

  async idle(ms: number): Promise<void> {
    this.#closed = true
    this.#horizon = this.#parts.clock.now() + ms
    this.#dismissAll((run) => this.#isTooLate(run))
    while (this.#runs.size > 0) await this.#ends()
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

  /** Settles when an attempt has ended, or a run that waited; or when the signal fires. */
  #ends(signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => {
      this.#waiting.delete(wake)
      signal?.removeEventListener('abort', wake)
      resolve()
    }
    this.#waiting.add(wake)
    signal?.addEventListener('abort', wake, { once: true })
    return promise
  }

  #tellEnd(): void {
    for (const wake of this.#waiting) wake()
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
    else {
      run.inLine = true
      this.#busy++
      line.limiter.add(run, run.request.options.priority)
    }
  }

  async #perform(run: LiveRun, line: Line): Promise<void> {
    const { clock, channels } = this.#parts
    line.waiting--
    this.#begun++
    run.inLine = false
    run.attempt++
    run.tries++
    const ending = new Ending()
    run.ending = ending
    run.move('claim', { startedAt: clock.now(), attempted: null })
    channels.tell('run:started', () => ({ run: run.told() }))
    const verdict = await attempt(run, { ending, executor: line.places.executor, place: line.limiter }, this.#parts)
    run.ending = undefined
    this.#settle(run, verdict)
    this.#busy--
    this.#tellEnd()
  }

  #settle(run: LiveRun, { outcome, thrown }: Verdict): void {
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
      case 'parked': // none: nothing in memory waits so
        return this.#end(run, 'cancel', { state: 'canceled', error: new ShutdownError() })
      case 'retry':
        return this.#again(run, outcome, thrown)
    }
  }

  #again(run: LiveRun, { after, error }: Extract<Outcome, { readonly kind: 'retry' }>, thrown: unknown): void {
    const { channels, clock } = this.#parts
    const line = this.#lineOf(run.request)
    const endedAt = clock.now()
    run.move('retry', { dueAt: endedAt + after, error, attempted: { came: 'retry', endedAt, error } })
    channels.tell('run:retried', () => ({ run: run.told(), error: run.mask.error(thrown) }))
    line.waiting++
    if (this.#isTooLate(run)) this.#giveUp(run)
    else this.#enterIn(run, line, after)
  }

  /** Ends a run that waits. */
  #dismiss(run: LiveRun, why: CanceledError | ShutdownError): void {
    run.alarm?.[Symbol.dispose]()
    const line = this.#lineOf(run.request)
    line.waiting--
    if (run.inLine) this.#busy--
    run.inLine = false
    line.limiter.remove(run, run.request.options.priority)
    this.#end(run, 'cancel', { state: 'canceled', error: why })
  }

  #end(run: LiveRun, verb: 'succeed' | 'fail' | 'cancel', end: RunEnd): void {
    const { channels, clock } = this.#parts
    const finishedAt = clock.now()
    const reason = end.state === 'failed' ? end.reason : end.state === 'canceled' ? 'canceled' : null
    const error = end.state === 'succeeded' ? null : toFailure(end.error)
    const attempted = { came: end.state, endedAt: finishedAt, error }
    run.end = end
    run.move(verb, { finishedAt, reason, error, ...(run.state === 'running' ? { attempted } : {}) })
    this.#runs.ended(run)
    if (end.state === 'failed')
      channels.tell('run:failed', () => ({ run: run.told(), error: run.mask.error(end.error) }))
    else channels.tell(`run:${end.state}`, () => ({ run: run.told() }))
    this.#tellEnd()
  }
}

const named = (run: LiveRun): Drained => ({ id: run.id, task: run.request.task.name, durable: false })

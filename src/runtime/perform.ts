import { claimText } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import { CanceledError, FencedError, ShutdownError, TimeoutError } from '../core/errors.ts'
import { classify, type CallEnd, type Trial, type Verdict } from '../core/outcome.ts'
import type { Random } from '../core/random.ts'
import type { Ending } from './ending.ts'
import type { Call, Executor } from './executor.ts'
import { asOrigin, type Origin } from './stray-failures.ts'
import { timeoutIn } from './timers.ts'

export interface Attempt<R> {
  readonly call: Call
  readonly trial: Omit<Trial, 'chance'>
  /** Fires the context's signal. */
  readonly ending: Ending
  readonly origin: Origin
  /** What is recorded of a result; throws where it cannot be. */
  keep(value: unknown): R
}

export interface Performer {
  readonly executor: Executor
  readonly clock: Clock
  readonly random: Random
}

/**
 * How long code may take to heed its signal before the attempt ends without it, in milliseconds. A thread is ended before that (600 ms
 * after a timeout, else 1 s): until then its code may run, and no other attempt should. A store's deadline is 1 s past the timeout, and
 * then others take the run: what is left of that second is for the commit of the end.
 */
const PATIENCE = {
  timeout: { loop: 500, thread: 850 },
  shutdown: { loop: 500, thread: 1_500 },
  cancel: { loop: 10_000, thread: 10_000 },
  fenced: { loop: 0, thread: 1_500 },
}

/** One attempt: its time limited, its code called, its end judged. The outcome is the caller's to record. Never rejects. */
export async function perform<R>(attempt: Attempt<R>, by: Performer): Promise<Verdict<R>> {
  using limit = new TimeLimit(attempt, by.clock)
  using end = endOf(limit.began ? attempt : { ...attempt, call: { ...attempt.call, begins: () => limit.begin() } }, by)
  const came = await end.promise
  by.executor.over?.(attempt.call.claim)
  return classify(came, attempt.ending.reason, { ...attempt.trial, chance: by.random.fraction() })
}

/** A run in memory has its time from its code's first line; a durable one from its claim, which others go by. */
class TimeLimit<R> implements Disposable {
  readonly #attempt: Attempt<R>
  readonly #clock: Clock
  #timer: Disposable | undefined

  constructor(attempt: Attempt<R>, clock: Clock) {
    this.#attempt = attempt
    this.#clock = clock
    if (attempt.call.task.durable) this.begin()
  }

  get began(): boolean {
    return this.#timer !== undefined || this.#attempt.call.task.timeout === null
  }

  begin(): void {
    const { call, ending } = this.#attempt
    const { claim, task } = call
    if (task.timeout === null || this.#timer !== undefined) return
    const words = `The attempt ${claimText(claim)} of the task "${task.name}" took longer than its timeout of ${task.timeout} ms.`
    this.#timer = timeoutIn(this.#clock, task.timeout, () => ending.abort(new TimeoutError(words)))
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]()
  }
}

/** The only place that runs a task's code. */
async function call<R>(attempt: Attempt<R>, executor: Executor): Promise<CallEnd<R>> {
  try {
    return { returned: attempt.keep(await asOrigin(attempt.origin, () => executor.run(attempt.call))) }
  } catch (error) {
    return { threw: error }
  }
}

/** Code that never settles must not hold its place for ever: some time after the signal the attempt ends without it. */
function endOf<R>(
  attempt: Attempt<R>,
  { executor, clock }: Performer,
): Disposable & { readonly promise: Promise<CallEnd<R>> } {
  const { promise, resolve } = Promise.withResolvers<CallEnd<R>>()
  const { ending } = attempt
  let timer: Disposable | undefined
  let isOver = false
  ending.onAbort(() => {
    // While the end is being recorded the run is still held, and may be canceled: there is nothing left to wait for.
    if (isOver) return
    const ms = PATIENCE[kindOf(ending.reason)][attempt.call.task.thread ? 'thread' : 'loop']
    timer = timeoutIn(clock, ms, () => resolve({ threw: ending.reason }))
  })
  ending.onPark((parking) => resolve({ parked: parking }))
  void call(attempt, executor).then(resolve) // it never rejects
  const dispose = (): void => {
    isOver = true
    timer?.[Symbol.dispose]()
  }
  return { promise, [Symbol.dispose]: dispose }
}

function kindOf(reason: unknown): keyof typeof PATIENCE {
  if (reason instanceof CanceledError) return 'cancel'
  if (reason instanceof ShutdownError) return 'shutdown'
  return reason instanceof FencedError ? 'fenced' : 'timeout'
}

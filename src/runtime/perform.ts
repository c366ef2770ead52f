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

/** How long code may take to heed its signal before the attempt ends without it. A store's deadline is 1 s past the timeout. */
const PATIENCE = { timeout: 500, shutdown: 500, cancel: 10_000 }
/** A thread is ended 1 s after the signal: until then its code may run, and no other attempt should. */
const THREAD_PATIENCE = 1_500

/** One attempt: its time limited, its code called, its end judged. The outcome is the caller's to record. Never rejects. */
export async function perform<R>(attempt: Attempt<R>, by: Performer): Promise<Verdict<R>> {
  using limit = new TimeLimit(attempt, by.clock)
  using end = endOf(limit.began ? attempt : { ...attempt, call: { ...attempt.call, begins: () => limit.begin() } }, by)
  return classify(await end.promise, attempt.ending.reason, { ...attempt.trial, chance: by.random.fraction() })
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
  ending.onAbort(() => {
    const ms = attempt.call.task.thread ? Math.max(patience(ending.reason), THREAD_PATIENCE) : patience(ending.reason)
    timer = timeoutIn(clock, ms, () => resolve({ threw: ending.reason }))
  })
  void call(attempt, executor).then(resolve) // it never rejects
  return { promise, [Symbol.dispose]: () => timer?.[Symbol.dispose]() }
}

function patience(reason: unknown): number {
  if (reason instanceof CanceledError) return PATIENCE.cancel
  if (reason instanceof ShutdownError) return PATIENCE.shutdown
  return reason instanceof FencedError ? 0 : PATIENCE.timeout
}

import { Worker } from 'node:worker_threads'
import type { Claim } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import { OffstageError, TimeoutError } from '../core/errors.ts'
import { toFailure } from '../core/failure.ts'
import type { AnyTask } from '../core/task.ts'
import { messageOf } from '../core/thrown.ts'
import { inEmptyContext } from '../runtime/empty-context.ts'
import type { Call } from '../runtime/executor.ts'
import { answering, besides } from '../runtime/port.ts'
import { timeoutIn } from '../runtime/timers.ts'
import type { OpenCall } from './open-call.ts'
import {
  attemptEnded,
  notCloneable,
  revive,
  type Asks,
  type FromThread,
  type OfCall,
  type ThreadData,
  type ToThread,
} from './protocol.ts'

/**
 * How long code may take to heed its signal before its thread is ended, in milliseconds. At a timeout it is less: 1 s after it others take
 * the run, and before that the thread has to be gone and the end recorded.
 */
const PATIENCE = { timeout: 600, other: 1_000 }

export interface ThreadParts extends Omit<ThreadData, 'begun'> {
  readonly clock: Clock
  /** What a thread's code may start, by name. */
  readonly taskOf: (name: string) => AnyTask | undefined
  /** A failure that a run's code set free on a thread: a promise it did not await, a timer that threw. */
  readonly stray: (claim: Claim, task: string, error: unknown) => void
}

/** Told by a thread to whoever keeps it. */
export interface Keeper {
  /** Its tasks module is loaded, or its call has ended: the next one may come. */
  ready(thread: Thread): void
  /** It has ended. `broken` is why, where no call ever began; `unbegun` is one it was given too late. */
  gone(thread: Thread, left: { readonly broken: Error | undefined; readonly unbegun: OpenCall | undefined }): void
}

/** Our side of one worker thread, which runs one call at a time. */
export class Thread {
  readonly #parts: ThreadParts
  readonly #keeper: Keeper
  readonly #worker: Worker
  readonly #exit = Promise.withResolvers<void>()
  readonly #begun = new Int32Array(new SharedArrayBuffer(4))
  #calls = 0
  #open: OpenCall | undefined
  #patience: Disposable | undefined
  /** Why it ends, where that is known before. */
  #why: Error | undefined
  /** What it died of, as far as Node knows. */
  #fault: unknown

  constructor(parts: ThreadParts, keeper: Keeper) {
    this.#parts = parts
    this.#keeper = keeper
    const workerData: ThreadData = { module: parts.module, limits: parts.limits, begun: this.#begun }
    // A thread outlives the run that first needed it, and must not keep that run's context.
    this.#worker = inEmptyContext(() => new Worker(besides(import.meta.url, 'entry'), { name: 'offstage', workerData }))
    this.#worker
      .on('message', (said: FromThread) => this.#hear(said))
      .on('messageerror', (error) => this.#unreadable(error))
      .on('error', (error) => (this.#fault = error))
      .on('exit', (code) => this.#exited(code))
    this.#answer()
  }

  /** False: the input cannot be sent. The call has ended by that, and the thread is as free as before. */
  perform(open: OpenCall): boolean {
    const { claim, task, input, journal } = open.call
    try {
      const [now, tx] = [journal?.now() ?? null, open.tx !== undefined]
      this.#post({ kind: 'perform', call: this.#calls + 1, claim, task: task.name, input, now, tx })
    } catch (cause) {
      open.throw(notCloneable(`The input of the task "${task.name}"`, cause))
      return false
    }
    this.#calls++
    this.#open = open
    open.call.begins?.()
    open.onAbort((reason) => this.#abort(open, reason))
    return true
  }

  /** While it runs a call it keeps the process alive; while it waits for one it does not. */
  keepAlive(yes: boolean): void {
    if (yes) this.#worker.ref()
    else this.#worker.unref()
  }

  /** Whatever it does. A call under way ends with the reason. */
  async end(reason: Error): Promise<void> {
    this.#terminate(reason)
    await this.#exit.promise
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message)
  }

  #hear(said: FromThread): void {
    if ('call' in said) return this.#hearCall(said)
    switch (said.kind) {
      case 'loaded':
        return this.#keeper.ready(this)
      case 'broken':
        this.#why = revive(said.failure)
        return
      case 'stray':
        return this.#parts.stray(said.claim, said.task, revive(said.failure))
      case 'unreadable':
        return this.#unreadable(revive(said.failure))
    }
  }

  #hearCall(said: OfCall): void {
    const open = this.#at(said.call)
    if (open === undefined) return
    try {
      if (!open.hear(said)) return
    } catch (error) {
      // Refused on our side, by a logger or by a limit: the code has gone on and cannot be told.
      return this.#parts.stray(open.call.claim, open.call.task.name, error)
    }
    this.#close()
    this.#keeper.ready(this)
  }

  #abort(open: OpenCall, reason: unknown): void {
    this.#post({ kind: 'abort', call: this.#calls, reason: toFailure(reason) })
    const patience = reason instanceof TimeoutError ? PATIENCE.timeout : PATIENCE.other
    this.#patience = timeoutIn(this.#parts.clock, patience, () => {
      this.#close()
      open.throw(reason)
      this.#terminate()
    })
  }

  #unreadable(error: unknown): void {
    this.#terminate(notCloneable('A message', error))
  }

  #terminate(why?: Error): void {
    this.#why ??= why
    void this.#worker.terminate() // it never rejects, and `exit` tells when it is done
  }

  #exited(code: number): void {
    const begun = Atomics.load(this.#begun, 0)
    const open = this.#close()
    const error = this.#why ?? crashed(code, this.#fault, open?.call)
    const unbegun = this.#why === undefined && begun < this.#calls ? open : undefined
    if (unbegun === undefined) open?.throw(error)
    this.#exit.resolve()
    this.#keeper.gone(this, { broken: begun === 0 ? error : undefined, unbegun })
  }

  #close(): OpenCall | undefined {
    const open = this.#open
    this.#open = undefined
    this.#patience?.[Symbol.dispose]()
    this.#patience = undefined
    return open
  }

  /** undefined: that call has ended. */
  #at(call: number): OpenCall | undefined {
    return call === this.#calls ? this.#open : undefined
  }

  #answer(): void {
    const at = (call: number): OpenCall => {
      const open = this.#at(call)
      if (open === undefined) throw attemptEnded()
      return open
    }
    answering<Asks>(
      this.#worker,
      {
        recall: ({ call, name }) => at(call).recall(name),
        record: ({ call, name, result }) => at(call).record(name, result),
        'tx.query': (asked) => at(asked.call).query(asked),
        start: (asked) => at(asked.call).start(this.#parts.taskOf(asked.task) ?? unknownTask(asked.task), asked),
        status: (asked) => at(asked.call).status(asked),
        result: (asked) => at(asked.call).resultOf(asked),
        cancel: (asked) => at(asked.call).cancel(asked),
      },
      (error) => toFailure(error),
    )
  }
}

function crashed(code: number, cause: unknown, call: Call | undefined): OffstageError {
  const reason = cause === undefined ? '' : `: ${messageOf(cause)}`
  const what = call === undefined ? 'A thread' : `The thread that ran the task "${call.task.name}"`
  return new OffstageError(
    'OFFSTAGE_CRASHED',
    `${what} died with exit code ${code}${reason}. Look for what ended it: process.exit, memory, a native module.`,
    { cause },
  )
}

function unknownTask(name: string): never {
  throw new OffstageError(
    'OFFSTAGE_UNKNOWN_TASK',
    `No task named "${name}" is among the \`tasks\` of this Offstage. Export it from the tasks module.`,
  )
}

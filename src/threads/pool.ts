import type { Clock } from '../core/clock.ts'
import { ShutdownError } from '../core/errors.ts'
import type { Call, Executor } from '../runtime/executor.ts'
import { timeoutIn } from '../runtime/timers.ts'
import { OpenCall } from './open-call.ts'
import type { Keeper, Thread } from './thread.ts'

/** Between starts that fail: doubling, since the next one will hardly do better. */
const REST = { first: 100, most: 5_000 }

export interface PoolParts {
  readonly size: number
  readonly clock: Clock
  begin(keeper: Keeper): Thread
}

/** At most `size` threads, begun when needed, and one more for each parent that awaits a child. A call that finds none free waits in line. */
export class Pool implements Executor {
  readonly #parts: PoolParts
  /** All that take a place: idle, starting, running a call, or dying of one. */
  readonly #threads = new Set<Thread>()
  readonly #starting = new Set<Thread>()
  /** The one that worked last goes first: its caches are warm. */
  readonly #idle: Thread[] = []
  /** Ended as one too many: they take no place while they go. */
  readonly #retired = new Set<Thread>()
  readonly #waiting = new Set<OpenCall>()
  readonly #keeper: Keeper
  #lent = 0
  #broken = 0
  #restsUntil = Number.NEGATIVE_INFINITY
  #rest: Disposable | undefined
  #closed = false

  constructor(parts: PoolParts) {
    this.#parts = parts
    this.#keeper = { ready: (thread) => this.#ready(thread), gone: (thread, left) => this.#gone(thread, left) }
  }

  get free(): number {
    const busy = this.#threads.size - this.#starting.size - this.#idle.length
    return this.#closed ? 0 : Math.max(0, this.#places - busy - this.#waiting.size)
  }

  run(call: Call): Promise<unknown> {
    if (this.#closed) return Promise.reject(new ShutdownError())
    if (call.context.signal.aborted) return Promise.reject(call.context.signal.reason as Error) // one of ours: the seam says so
    const open = new OpenCall(call)
    const thread = this.#idle.pop()
    if (thread === undefined) {
      this.#wait(open)
      this.#fill()
    } else if (thread.perform(open)) thread.keepAlive(true)
    else this.#idle.push(thread)
    return open.result
  }

  leave(): void {
    this.#lent++
    this.#fill()
  }

  enter(): void {
    this.#lent--
    if (this.#threads.size > this.#places) this.#retire(this.#idle.pop())
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#rest?.[Symbol.dispose]()
    this.#dismiss(new ShutdownError())
    await Promise.all(Array.from([...this.#threads, ...this.#retired], (thread) => thread.end(new ShutdownError())))
  }

  get #places(): number {
    return this.#parts.size + this.#lent
  }

  #wait(open: OpenCall): void {
    this.#waiting.add(open)
    open.onAbort((reason) => {
      this.#waiting.delete(open)
      open.throw(reason)
    })
  }

  #fill(): void {
    while (this.#waiting.size > this.#starting.size && this.#threads.size < this.#places && !this.#resting()) {
      const thread = this.#parts.begin(this.#keeper)
      this.#threads.add(thread)
      this.#starting.add(thread)
    }
  }

  #resting(): boolean {
    const { clock } = this.#parts
    const left = this.#restsUntil - clock.monotonic()
    if (left <= 0) return false
    this.#rest ??= timeoutIn(clock, left, () => {
      this.#rest = undefined
      this.#fill()
    })
    return true
  }

  #ready(thread: Thread): void {
    if (this.#starting.delete(thread)) this.#broken = 0
    if (this.#threads.size > this.#places) return this.#retire(thread)
    for (const open of this.#waiting) {
      this.#waiting.delete(open)
      if (thread.perform(open)) return
    }
    this.#idle.push(thread)
    thread.keepAlive(false)
  }

  #gone(thread: Thread, { broken, unbegun }: Parameters<Keeper['gone']>[1]): void {
    this.#threads.delete(thread)
    this.#starting.delete(thread)
    const index = this.#idle.indexOf(thread)
    if (index >= 0) this.#idle.splice(index, 1)
    if (unbegun !== undefined) this.#waitFirst(unbegun)
    if (!this.#retired.delete(thread) && broken !== undefined) this.#couldNotStart(broken)
    this.#fill()
  }

  /** Code of an earlier run ended the thread before this call began on it. */
  #waitFirst(open: OpenCall): void {
    const { signal } = open.call.context
    if (signal.aborted) return open.throw(signal.reason)
    const behind = [...this.#waiting]
    this.#waiting.clear()
    this.#wait(open)
    for (const each of behind) this.#waiting.add(each)
  }

  #couldNotStart(why: Error): void {
    this.#restsUntil = this.#parts.clock.monotonic() + Math.min(REST.first * 2 ** this.#broken++, REST.most)
    // Where others live, the line is theirs to serve.
    if (this.#threads.size === 0) this.#dismiss(why)
  }

  #dismiss(why: Error): void {
    for (const open of this.#waiting) open.throw(why)
    this.#waiting.clear()
  }

  #retire(thread: Thread | undefined): void {
    if (thread === undefined) return
    this.#threads.delete(thread)
    this.#retired.add(thread)
    void thread.end(new ShutdownError()) // it has no call; `gone` tells when it has ended
  }
}

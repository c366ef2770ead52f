import { isMainThread, Worker } from 'node:worker_threads'
import type { Claim } from '../core/claim.ts'
import type { TaskPolicy } from '../core/task.ts'
import type { OffstageEvents } from './channels.ts'
import { inEmptyContext } from './empty-context.ts'
import type { Asked, WatchData } from './loop-watch-thread.ts'
import { besides } from './port.ts'
import { currentOrigin } from './stray-failures.ts'
import { realLoop } from './world.ts'

/** Between two ticks of the loop, and two looks at them. */
const EVERY = 250
/** A tick that has not come for so long is late. */
const LATE = 400
/** Held that long, it is told. */
const BLOCKED = 1_000
/** Of those that may have held it, so many are named. */
const NAMED = 10
/** No run under way has a timeout. */
const NEVER = 2 ** 31 - 1

export interface LoopWatchParts {
  /** Whether a run that hangs ends the process. */
  readonly exits: boolean
  readonly blocked: (event: OffstageEvents['task:blocking']) => void
  /** The thread could not be started, or failed. */
  readonly broken: (error: unknown) => void
}

type Blocking = OffstageEvents['task:blocking']['runs'][number]

/**
 * Watches this thread's event loop while runs are performed on it. A timer ticks; a tick that comes late is told once it comes. For a
 * loop that does not come back there is a thread that looks for the ticks, and asks the main thread whose code it is in the middle of:
 * the question interrupts it (see `loop-watch-thread.ts`), so that a task is named wherever in its code it blocks, and the
 * application's own code is never taken for a task's. Inside a native call (`execSync`, say) nothing is asked, but right after it.
 *
 * Price: a tick four times a second while runs are under way, and none else; one thread (some 18 MB) from the first run with a timeout
 * on, or from the first block. Limits: code that goes on after its attempt has ended is not named; an Offstage that is itself on a
 * worker thread cannot be asked, and all runs under way are named.
 */
export class LoopWatch {
  readonly #parts: LoopWatchParts
  readonly #underWay = new Map<Claim, { readonly task: string; readonly due: number }>()
  /** Since the last tick: the thread got an answer; who was running when it asked; where; and who ended late. */
  #answered = false
  readonly #blocking = new Map<Claim, Blocking>()
  #at: string | null = null
  readonly #ended: Blocking[] = []
  #ticks: Disposable | undefined
  #tickedAt = 0
  #busy = 0
  readonly #looks = new Int32Array(new SharedArrayBuffer(4))
  /** Milliseconds from the last tick to the first timeout of a run under way. */
  readonly #left = new Int32Array(new SharedArrayBuffer(4))
  #thread: Worker | undefined
  #question: symbol | undefined
  #over = false

  constructor(parts: LoopWatchParts) {
    this.#parts = parts
  }

  /** The code of an attempt is about to be called. */
  began(claim: Claim, { name, timeout }: TaskPolicy): void {
    const due = timeout === null ? Number.POSITIVE_INFINITY : realLoop.now() + timeout
    this.#underWay.set(claim, { task: name, due })
    if (timeout !== null) this.#openThread()
    if (this.#ticks === undefined) this.#begin()
    else if (timeout !== null && timeout < Atomics.load(this.#left, 0)) Atomics.store(this.#left, 0, timeout)
  }

  over(claim: Claim): void {
    const run = this.#underWay.get(claim)
    if (run === undefined) return
    this.#underWay.delete(claim)
    if (this.#isLate() && this.#ended.length < NAMED) this.#ended.push({ claim, task: run.task })
  }

  close(): void {
    if (this.#ticks !== undefined) this.#tick() // what has just blocked is told before the end
    this.#over = true
    this.#rest()
    if (this.#question !== undefined) Reflect.deleteProperty(process, this.#question)
    void this.#thread?.terminate() // it never rejects, and holds nothing that anybody waits for
  }

  #begin(): void {
    if (this.#over) return
    this.#tickedAt = realLoop.now()
    this.#busy = realLoop.busy()
    this.#ticks = realLoop.every(EVERY, () => this.#tick())
    this.#tellThread()
  }

  #rest(): void {
    this.#ticks?.[Symbol.dispose]()
    this.#ticks = undefined
    this.#thread?.postMessage([])
  }

  #tick(): void {
    const now = realLoop.now()
    const busy = realLoop.busy()
    // A process that was stopped, or a machine that slept, ticks late as well; its loop was not busy meanwhile.
    const held = Math.min(now - this.#tickedAt, busy - this.#busy)
    if (held >= BLOCKED) this.#tellBlocked(Math.round(held))
    this.#tickedAt = now
    this.#busy = busy
    this.#answered = false
    this.#blocking.clear()
    this.#at = null
    this.#ended.length = 0
    if (this.#underWay.size === 0) this.#rest()
    else this.#tellThread()
  }

  #isLate(): boolean {
    return realLoop.now() - this.#tickedAt > LATE
  }

  #tellBlocked(ms: number): void {
    const underWay = Array.from(this.#underWay, ([claim, { task }]) => ({ claim, task }))
    const runs = this.#answered ? [...this.#blocking.values()] : [...this.#ended, ...underWay].slice(0, NAMED)
    // Where it is known that no run's code was running, it was the application's own.
    if (runs.length > 0) this.#parts.blocked({ runs, ms, at: this.#answered ? this.#at : null })
    this.#openThread() // so that the next one can be asked
  }

  /** That the loop turns, and what is under way: for as long as it cannot be asked. */
  #tellThread(): void {
    const now = realLoop.now()
    let left = NEVER
    for (const { due } of this.#underWay.values()) left = Math.min(left, due - now)
    Atomics.store(this.#left, 0, Math.max(0, left))
    Atomics.store(this.#looks, 0, 0)
    if (this.#thread === undefined) return
    const named = [...this.#underWay].slice(0, NAMED)
    this.#thread.postMessage(named.map(([claim, { task }]) => nameOf(claim, task)))
  }

  #openThread(): void {
    if (this.#thread !== undefined || this.#over) return
    const canAsk = isMainThread && process.features.inspector && (process.permission?.has('inspector') ?? true)
    const workerData: WatchData = {
      every: EVERY,
      looks: this.#looks,
      left: this.#left,
      canAsk,
      exits: this.#parts.exits,
    }
    try {
      // It needs nothing of what the application loads beforehand into its threads.
      const options = { name: 'offstage-watch', workerData, execArgv: [], env: {} }
      this.#thread = inEmptyContext(() => new Worker(besides(import.meta.url, 'loop-watch-thread'), options))
    } catch (error) {
      this.#over = true
      return this.#parts.broken(error)
    }
    this.#thread.unref()
    this.#thread.on('error', (error) => this.#parts.broken(error))
    this.#question = questionOf(this.#thread.threadId)
    Object.defineProperty(process, this.#question, {
      value: (told: (Asked | null)[]) => this.#answer(told),
      configurable: true,
    })
  }

  /** Called in the middle of whatever runs: it looks, and touches nothing of it. */
  #answer(told: (Asked | null)[]): void {
    if (!this.#isLate()) return // it turns again: what runs now is not what held it
    this.#answered = true
    const claim = currentOrigin()?.claim
    const run = claim && this.#underWay.get(claim)
    if (claim === undefined || run === undefined) {
      told.push(null)
      return
    }
    this.#at ??= codeInTheMiddle() // a later answer may be of what came after
    this.#blocking.set(claim, { claim, task: run.task })
    const left = run.due - realLoop.now()
    told.push({ name: nameOf(claim, run.task), at: this.#at, left: Number.isFinite(left) ? left : null })
  }
}

/** Where the thread finds whom to ask: what is evaluated for it sees globals alone. */
const questionOf = (threadId: number): symbol => Symbol.for(`offstage.blocked.${threadId}`)

const nameOf = ({ run, attempt }: Claim, task: string): string => `"${task}" (run ${run}, attempt ${attempt})`

/** The topmost call that is neither ours nor Node's. */
function codeInTheMiddle(): string | null {
  // Not imported: as a module it opens the process's streams.
  const call = process
    .getBuiltinModule('node:util')
    .getCallSites(50)
    .find(({ scriptName }) => scriptName !== '' && !scriptName.startsWith('node:') && scriptName !== import.meta.url)
  return call === undefined ? null : `${call.functionName || '(anonymous)'} ${call.scriptName}:${call.lineNumber}`
}

import type { Claim } from '../core/claim.ts'
import type { Parking } from '../core/outcome.ts'
import type { TaskContext, TaskPolicy } from '../core/task.ts'
import type { Place } from './lending.ts'
import type { LoopWatch } from './loop-watch.ts'

/** One attempt's code, and what it is given. */
export interface Call {
  readonly claim: Claim
  readonly task: TaskPolicy
  readonly input: unknown
  /** Its `signal` says when to stop; a DurableContext where the task is durable. */
  readonly context: TaskContext
  /** The code is about to be called: told once by whoever runs it, since a run in memory has its time from there. */
  readonly begins?: () => void
  /** Of a durable run: what its context remembers with, for code that runs where that context is out of reach. */
  readonly journal?: Journal
}

/** What a durable run remembers between attempts. */
export interface Journal {
  /** A finished step's JSON text (null: it had no result); undefined: not done yet. */
  recall(name: string): Promise<string | null | undefined>
  /** Resolves with what is kept of that name once it is on disk; rejects with FencedError where the attempt has lost its run. */
  record(name: string, result: string | null): Promise<string | null>
  /** The code only waits: the attempt is over, and what its code still does is nobody's. */
  park(parking: Parking): void
  /** The store's time, or a little before it: never after. */
  now(): number
}

/** SEAM. Where the code of one attempt runs. It never decides what the attempt came to. */
export interface Executor extends Place {
  /** Places not taken now. */
  readonly free: number
  /** What the code returned, or nothing where its journal was told that it is parked; rejects with what it threw, or with OFFSTAGE_CRASHED where the thread it ran on died. */
  run(call: Call): Promise<unknown>
  /** The attempt has ended, perhaps without its code: some heeds no signal. */
  over?(claim: Claim): void
  close(): Promise<void>
}

/** This event loop: whatever is given it runs, since those who give it count their own places. */
export const eventLoop = (watch: LoopWatch): Executor => ({
  free: Number.POSITIVE_INFINITY,
  run: async ({ claim, task, input, context, begins }) => {
    begins?.()
    watch.began(claim, task)
    return await task.run(input, context)
  },
  over: (claim) => watch.over(claim),
  leave: () => {},
  enter: () => {},
  close: async () => watch.close(),
})

/** An executor that is opened at its first use, and never where nobody needs it. */
export function lazily(free: number, open: () => Promise<Executor>): Executor {
  let opened: Promise<Executor> | undefined
  let executor: Executor | undefined
  let early = 0
  const ready = async (): Promise<Executor> => {
    early++
    executor = await (opened ??= open())
    return executor
  }
  return {
    get free() {
      return executor?.free ?? Math.max(0, free - early)
    },
    run: async (call) => (executor ?? (await ready())).run(call),
    // A run that has a place to leave has opened it.
    leave: () => executor?.leave(),
    enter: () => executor?.enter(),
    close: async () => (await opened)?.close(),
  }
}

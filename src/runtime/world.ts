import { randomBytes, randomUUIDv7 } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import { inEmptyContext } from './empty-context.ts'

/** What can be seen of an event loop. */
export interface EventLoop {
  /** Calls every `ms` until disposed, and keeps no process alive. */
  every(ms: number, call: () => void): Disposable
  /** Milliseconds; its zero means nothing. */
  now(): number
  /** Of these, those in which it was not waiting for something to happen. */
  busy(): number
}

/**
 * The real time. Whatever it calls begins in an empty context: a turn asked for by one request would else keep that request alive in
 * everything that follows from the turn.
 */
export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer: (ms, call) => inEmptyContext(() => setTimeout(call, ms)),
  nextTurn: (call) => {
    inEmptyContext(() => setImmediate(call))
  },
}

/**
 * Since this machine was started, or thereabouts: comparable between the processes of one boot, whatever becomes of the wall clock, and it
 * stands still while the machine sleeps. (CLOCK_MONOTONIC, https://man7.org/linux/man-pages/man2/clock_gettime.2.html)
 */
export const steadyTime = (): number => Math.floor(Number(process.hrtime.bigint() / 1_000_000n))

/** The real chance. */
export const realRandom: Random = {
  runId: () => randomUUIDv7(),
  instanceId: () => randomBytes(16).toString('hex'),
  fraction: () => Math.random(),
}

/** This thread's event loop: real also where time is a test's, since what blocks it does so for real. */
export const realLoop: EventLoop = {
  every: (ms, call) => inEmptyContext(() => setInterval(call, ms).unref()),
  now: () => performance.now(),
  busy: () => performance.eventLoopUtilization().active,
}

/** By the kernel, at once: `process.exit` waits for every thread, also for one that is inside a native call. */
export function endProcess(signal: NodeJS.Signals): void {
  process.kill(process.pid, signal)
}

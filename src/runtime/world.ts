import { randomBytes, randomUUIDv7 } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'

/** The real time. */
export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer: (ms, call) => setTimeout(call, ms),
  nextTurn: (call) => void setImmediate(call),
}

/** The real chance. */
export const realRandom: Random = {
  runId: () => randomUUIDv7(),
  instanceId: () => randomBytes(16).toString('hex'),
  fraction: () => Math.random(),
}

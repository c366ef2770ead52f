import { randomBytes, randomUUIDv7 } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import { inEmptyContext } from './empty-context.ts'

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

/** The real chance. */
export const realRandom: Random = {
  runId: () => randomUUIDv7(),
  instanceId: () => randomBytes(16).toString('hex'),
  fraction: () => Math.random(),
}

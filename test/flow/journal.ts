import { vi } from 'vitest'
import type { Parking } from '../../src/core/outcome.ts'
import { flowOf, type Flow } from '../../src/flow/flow.ts'
import type { Journal } from '../../src/flow/journal.ts'

/** The moment at which every attempt of these tests begins. */
export const NOW = 1_000_000

/** One attempt over a journal in memory. What an earlier attempt of the run kept is given. */
export function attempt(kept: Record<string, string | null> = {}) {
  const parked = Promise.withResolvers<Parking>()
  let now = NOW
  const journal = {
    recall: vi.fn<Journal['recall']>(async (name) => kept[name]),
    record: vi.fn<Journal['record']>(async (name, result) => (kept[name] ??= result)),
    park: vi.fn<Journal['park']>((parking) => parked.resolve(parking)),
    now: () => now,
  }
  const ending = new AbortController()
  const flow: Flow = flowOf({
    journal,
    claim: { run: 'r1', attempt: 2 },
    task: 'job',
    signal: ending.signal,
    limit: { bytes: 100, depth: 4 },
    clock: { nextTurn: setImmediate },
  })
  const pass = (ms: number): void => void (now += ms)
  return { kept, journal, ending, flow, parked: parked.promise, pass }
}

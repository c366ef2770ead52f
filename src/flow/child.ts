import type { RunId } from '../core/claim.ts'
import { RESERVED } from '../core/waiting.ts'
import type { Journal } from './journal.ts'

/** Kept apart from the names of steps, which cannot begin so. */
const CHILD_PREFIX = `${RESERVED}child:`

/**
 * The id of the n-th child of a task that this run starts: made once and remembered, so that a repeated attempt asks for the same
 * run again instead of a second one. `make` gives a fresh id.
 */
export async function childId(
  journal: Journal,
  place: { readonly task: string; readonly nth: number },
  make: () => RunId,
): Promise<{ readonly id: RunId; readonly remembered: Promise<unknown> }> {
  const name = `${CHILD_PREFIX}${place.task}#${place.nth}`
  const known = await journal.recall(name)
  if (typeof known === 'string') return { id: known, remembered: Promise.resolve() }
  const id = make()
  return { id, remembered: journal.record(name, id) }
}

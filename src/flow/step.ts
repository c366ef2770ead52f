import type { Claim } from '../core/claim.ts'
import { OffstageError } from '../core/errors.ts'
import type { JsonOf } from '../core/json.ts'
import { refuse } from '../core/options.ts'
import { decode, encode, type PayloadLimit } from '../core/payload.ts'
import type { DurableContext, StepContext } from '../core/task.ts'
import { CHILD_PREFIX } from './child.ts'
import type { Journal } from './journal.ts'

/** The `step` of one attempt's context: done before? its result; else run it, record it. */
export function steps(
  journal: Journal,
  attempt: { readonly claim: Claim; readonly signal: AbortSignal; readonly limit: PayloadLimit },
): DurableContext['step'] {
  const { claim, signal, limit } = attempt
  const named = new Set<string>()
  return async <T>(name: string, fn: (step: StepContext) => JsonOf<T> | Promise<JsonOf<T>>): Promise<T> => {
    signal.throwIfAborted()
    takeName(named, name)
    const kept = await journal.recall(name)
    if (kept !== undefined) return decode(kept) as T // what an earlier attempt's fn, of the same type, came to
    signal.throwIfAborted()
    const text = encode(
      await fn({ signal, idempotencyKey: `${claim.run}:${name}` }),
      `The result of the step "${name}"`,
      limit,
    )
    await journal.record(name, text)
    // From the text, not as fn gave it: the first attempt must not see what a later one cannot.
    return decode(text) as T
  }
}

/** Two steps of one name would be given one result. */
function takeName(named: Set<string>, name: unknown): void {
  if (typeof name !== 'string' || name.length < 1 || name.length > 200 || name.startsWith(CHILD_PREFIX))
    refuse('ctx.step(name)', `a text of 1 to 200 characters that does not begin with '${CHILD_PREFIX}'`, name)
  if (named.has(name))
    throw new OffstageError(
      'OFFSTAGE_BAD_OPTION',
      `The step "${name}" was begun twice in one attempt. Give each step of a run a name of its own.`,
    )
  named.add(name)
}

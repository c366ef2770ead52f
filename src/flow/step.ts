import type { JsonOf } from '../core/json.ts'
import { decode, encode } from '../core/payload.ts'
import type { DurableContext, StepContext } from '../core/task.ts'
import type { FlowParts } from './journal.ts'
import { takeName } from './names.ts'
import type { Parker } from './parker.ts'

/** The `step` of one attempt's context: done before? its result; else run it, record it. */
export function steps({ journal, claim, signal, limit }: FlowParts, parker: Parker): DurableContext['step'] {
  const taken = new Set<string>()
  return async <T>(name: string, fn: (step: StepContext) => JsonOf<T> | Promise<JsonOf<T>>): Promise<T> => {
    signal.throwIfAborted()
    takeName(taken, name, 'step')
    const text = await parker.during(async () => {
      const known = await journal.recall(name)
      if (known !== undefined) return known
      signal.throwIfAborted()
      const result = await parker.within(() => fn({ signal, idempotencyKey: `${claim.run}:${name}` }))
      return journal.record(name, encode(result, `The result of the step "${name}"`, limit))
    })
    // From the text that is kept, not as fn gave it: the first attempt must not see what a later one cannot.
    return decode(text) as T // what this fn, or an earlier attempt's of the same type, came to
  }
}

import { milliseconds } from '../core/duration.ts'
import { TimeoutError } from '../core/errors.ts'
import { optional, shape } from '../core/options.ts'
import type { Awaited } from '../core/outcome.ts'
import { validated, type Checked } from '../core/schema.ts'
import { schema as parseSchema, type DurableContext, type WaitOptions } from '../core/task.ts'
import { signalStep, waitStep } from '../core/waiting.ts'
import type { FlowParts, Journal } from './journal.ts'
import { signalName } from './names.ts'
import { isPast, type Parker, type Wait } from './parker.ts'

const options = shape({ timeout: optional(milliseconds, null), schema: optional(parseSchema, undefined) })

/** The `waitFor` of one attempt's context: there? its payload; else the attempt ends here, until it comes. */
export function waits({ journal, claim, task, signal }: FlowParts, parker: Parker): DurableContext['waitFor'] {
  const calls = new Map<string, number>()
  return async <T>(name: string, given?: WaitOptions<T>): Promise<T> => {
    signal.throwIfAborted()
    signalName(name, 'ctx.waitFor(signal)')
    const { timeout, schema } = options(given ?? {}, 'ctx.waitFor(signal, options)')
    parker.mustBeOutside('ctx.waitFor')
    const awaited = { name, nth: (calls.get(name) ?? 0) + 1 }
    calls.set(name, awaited.nth)
    const found = await parker.during(() => look(awaited, timeout, journal))
    const payloads = typeof found === 'string' ? (JSON.parse(found) as readonly unknown[]) : await parker.park(found) // written by a store, or by this file
    if (payloads.length === 0)
      throw new TimeoutError(`The run ${claim.run} waited for the signal "${name}", and none came in time.`)
    return (schema === undefined ? payloads[0] : await validated(schema, payloads[0], checked(name, task))) as T // the sender's word, or the schema's
  }
}

const checked = (name: string, task: string): Checked => ({
  what: `The payload of the signal "${name}" of the task "${task}"`,
  so: 'The next call waits for the next one.',
})

/** What the journal holds of that signal, or what is left to wait for. */
async function look(awaited: Awaited, timeout: number | null, journal: Journal): Promise<string | Wait> {
  const come = await journal.recall(signalStep(awaited))
  if (typeof come === 'string') return come
  const step = waitStep(awaited)
  const kept = await journal.recall(step)
  if (typeof kept !== 'string')
    return { step, moment: timeout === null ? null : journal.now() + timeout, by: 'duration', signal: awaited }
  if (!isPast(kept, journal)) return { step, moment: Number(kept), by: 'journal', signal: awaited }
  // Out of time, unless it has come since the journal was read: that is then what is kept.
  return (await journal.record(signalStep(awaited), NONE)) ?? NONE
}

/** Of a wait that timed out: no payload. */
const NONE = '[]'

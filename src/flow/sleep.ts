import { milliseconds } from '../core/duration.ts'
import { refuse } from '../core/options.ts'
import type { DurableContext } from '../core/task.ts'
import { sleepStep } from '../core/waiting.ts'
import type { FlowParts, Journal } from './journal.ts'
import { takeName } from './names.ts'
import { isPast, type Parker, type Wait } from './parker.ts'

/** The `sleep` of one attempt's context: over? on with it; else the attempt ends here, until then. */
export function sleeps({ journal, signal }: FlowParts, parker: Parker): DurableContext['sleep'] {
  const taken = new Set<string>()
  return async (name, until) => {
    signal.throwIfAborted()
    const end = endOf(until, journal.now())
    parker.mustBeOutside('ctx.sleep')
    takeName(taken, name, 'sleep')
    const wait = await parker.during(() => rest(sleepStep(name), end, journal))
    if (wait !== undefined) await parker.park(wait)
  }
}

interface End {
  readonly moment: number
  readonly by: 'duration' | 'date'
}

function endOf(until: unknown, now: number): End {
  const at = 'ctx.sleep(name, until)'
  if (!(until instanceof Date)) return { moment: now + milliseconds(until, at), by: 'duration' }
  const moment = until.getTime()
  return Number.isNaN(moment) ? refuse(at, 'a duration or a valid Date', until) : { moment, by: 'date' }
}

/** What is left to wait for; undefined: nothing. */
async function rest(step: string, end: End, journal: Journal): Promise<Wait | undefined> {
  const kept = await journal.recall(step)
  if (typeof kept === 'string')
    return isPast(kept, journal) ? undefined : { step, moment: Number(kept), by: 'journal', signal: null }
  if (end.moment > journal.now()) return { step, ...end, signal: null }
  // Kept all the same: whatever a later attempt asks for, it finds this sleep over.
  await journal.record(step, String(Math.ceil(end.moment)))
  return undefined
}

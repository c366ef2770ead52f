import type { DurableContext } from '../core/task.ts'
import type { FlowParts } from './journal.ts'
import { Parker } from './parker.ts'
import { sleeps } from './sleep.ts'
import { steps } from './step.ts'
import { waits } from './wait.ts'

/** The part of one attempt's context that is remembered. */
export interface Flow extends Pick<DurableContext, 'step' | 'sleep' | 'waitFor'> {
  /** Something that is not cut short by a sleep beside it. */
  during<T>(work: () => Promise<T>): Promise<T>
}

export function flowOf(parts: FlowParts): Flow {
  const parker = new Parker(parts)
  return {
    step: steps(parts, parker),
    sleep: sleeps(parts, parker),
    waitFor: waits(parts, parker),
    during: (work) => parker.during(work),
  }
}

import type { Duration } from './duration.ts'
import { notBuilt } from './options.ts'
import type { Task } from './task.ts'

export interface Schedule {
  readonly name: string
  readonly cron: string
}

type ScheduleInput<I> = undefined extends I ? { input?: I | ((due: Date) => I) } : { input: I | ((due: Date) => I) }

/** Declared, and refused: schedules are not available in this version (OFFSTAGE_BAD_OPTION). */
export function schedule<I>(
  _definition: {
    name: string
    cron: string
    timeZone?: string
    task: Task<I, unknown>
    overlap?: 'skip' | 'allow' | 'cancel'
    catchUp?: Duration
    jitter?: Duration
  } & ScheduleInput<NoInfer<I>>,
): Schedule {
  return notBuilt('schedule')
}

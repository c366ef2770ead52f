import type { Clock } from '../core/clock.ts'
import { OffstageError } from '../core/errors.ts'
import type { Executor } from '../runtime/executor.ts'
import { Limiter } from '../runtime/limiter.ts'
import type { LiveRun } from './live-run.ts'

export interface Places {
  readonly executor: Executor
  readonly concurrency: number
  readonly capacity: number
  /** The option that bounds it, for the sentence that says so. */
  readonly option: string
}

/** Where runs of one kind wait for their places. */
export class Line {
  readonly places: Places
  readonly limiter: Limiter<LiveRun>
  /** Of those in line, those due later, and those behind a gate. */
  waiting = 0

  constructor(places: Places, clock: Clock, perform: (run: LiveRun, line: Line) => Promise<void>) {
    this.places = places
    this.limiter = new Limiter(places.concurrency, clock, (run) => perform(run, this))
  }

  /** Throws OFFSTAGE_OVERLOADED where so many more may not wait. */
  admit(more: number): void {
    const { capacity, option } = this.places
    if (this.waiting + more > capacity)
      throw new OffstageError(
        'OFFSTAGE_OVERLOADED',
        `${capacity.toLocaleString('en')} runs are waiting, which is all that \`${option}\` allows. Nothing was started; try again later.`,
      )
  }
}

import type { Executor } from '../runtime/executor.ts'
import { Pool } from './pool.ts'
import { Thread, type ThreadParts } from './thread.ts'

export interface ThreadOptions extends ThreadParts {
  /** Threads at once, besides one for each parent that awaits a child. */
  readonly size: number
}

/** Runs calls on worker threads that load the tasks module, each begun when it is first needed. */
export const threadExecutor = (options: ThreadOptions): Executor =>
  new Pool({ size: options.size, clock: options.clock, begin: (keeper) => new Thread(options, keeper) })

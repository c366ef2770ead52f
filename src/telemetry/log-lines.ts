import { claimText } from '../core/claim.ts'
import type { Logger } from '../core/logger.ts'
import type { Channels } from '../runtime/channels.ts'

/** What an operator must hear of, as lines: each failure once, with the task's name; never a payload. */
export function logLines(channels: Channels, logger: Logger): void {
  channels.on('run:failed', ({ run, error }) =>
    logger.error(
      { run: run.id, task: run.task, attempt: run.attempt, reason: run.reason, err: error },
      `The task "${run.task}" failed.`,
    ),
  )
  channels.on('run:retried', ({ run, error }) =>
    logger.warn(
      { run: run.id, task: run.task, attempt: run.attempt, err: error },
      `The task "${run.task}" failed at try ${run.tries} of ${run.maxAttempts} and is tried again.`,
    ),
  )
  channels.on('task:stray', ({ claim, task, error }) =>
    logger.error(
      { run: claim.run, task, attempt: claim.attempt, err: error },
      `The task "${task}" let a failure go: a promise it did not await, or a timer, failed.`,
    ),
  )
  channels.on('run:fenced', ({ claim, task }) =>
    logger.warn(
      { claim: claimText(claim), task },
      `The task "${task}" wrote for an attempt that is no longer the current one: nothing was changed.`,
    ),
  )
  channels.on('run:rescued', ({ run }) => logger.warn({ run: run.id }, 'The run of a dead instance waits again.'))
  channels.on('instance:dead', ({ instance }) =>
    logger.warn({ instance }, 'An instance has died; its runs are taken back.'),
  )
  channels.on('store:unavailable', ({ error }) => logger.error({ err: error }, 'The store does not answer.'))
}

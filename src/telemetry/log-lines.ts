import { claimText } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { Channels, OffstageEvents } from '../runtime/channels.ts'
import type { Drained } from '../runtime/drain.ts'

/** Of a task that blocks the event loop, at most a line in that time. */
const AGAIN = 60_000
/** More runs than that are told as their number. */
const NAMED = 100

/** What an operator must hear of, as lines: each failure once, with the task's name; never a payload, nor what a task's `redact` names: events are told without. */
export function logLines(channels: Channels, logger: Logger, clock: Clock): void {
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
  channels.on('task:blocking', blockingLines(logger, clock))
  channels.on('run:fenced', ({ claim, task }) =>
    logger.warn(
      { claim: claimText(claim), task },
      `The task "${task}" wrote for an attempt that is no longer the current one: nothing was changed.`,
    ),
  )
  channels.on('run:rescued', ({ run }) =>
    logger.warn({ run: run.id }, 'A run of a dead instance, or past its deadline, waits again.'),
  )
  channels.on('task:unknown', ({ task, version, since }) =>
    logger.warn(
      { task, version, since: since.toISOString() },
      `Nobody performs the task "${task}" at version ${version}: its runs wait and are kept. Deploy an instance whose tasks hold that version, or a later one with \`upcast\`.`,
    ),
  )
  channels.on('instance:dead', ({ instance }) =>
    logger.warn({ instance }, 'An instance has died; its runs are taken back.'),
  )
  channels.on('store:unavailable', ({ error }) => logger.error({ err: error }, 'The store does not answer.'))
}

function blockingLines(logger: Logger, clock: Clock): (event: OffstageEvents['task:blocking']) => void {
  const toldAt = new Map<string, number>()
  return ({ runs, ms, at }) => {
    const now = clock.monotonic()
    const isTold = (task: string): boolean => now - (toldAt.get(task) ?? Number.NEGATIVE_INFINITY) < AGAIN
    const tasks = [...new Set(runs.map(({ task }) => task))]
    if (tasks.every(isTold)) return
    for (const task of tasks) toldAt.set(task, now)
    const names = tasks.map((task) => `"${task}"`).join(', ')
    const who =
      at === null
        ? `The event loop was blocked for ${ms} ms while ${names} ran`
        : `The task ${names} blocked the event loop for ${ms} ms, at ${at}`
    logger.warn(
      { runs: runs.map(({ claim }) => claimText(claim)), ms },
      `${who}: nothing else went on meanwhile, and no request was answered. \`thread: true\` on such a task keeps it off the event loop.`,
    )
  }
}

/** What a close left behind, by name. */
export function logAbandoned(abandoned: readonly Drained[], logger: Logger): void {
  for (const { id, task, durable } of abandoned.slice(0, NAMED))
    logger.warn(
      { run: id, task },
      `The task "${task}" was abandoned at the shutdown: ${durable ? 'its run is given back and goes on elsewhere, or here after a restart' : 'its run was in memory, and is gone'}.`,
    )
  const more = abandoned.length - NAMED
  if (more > 0) logger.warn({ runs: more }, `… and ${more} more runs were abandoned.`)
}

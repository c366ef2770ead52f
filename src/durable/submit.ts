import { claimText, type Claim, type InstanceId, type RunId } from '../core/claim.ts'
import { FencedError } from '../core/errors.ts'
import { encode, type PayloadLimit } from '../core/payload.ts'
import type { Started, StartRequest } from '../core/runs.ts'
import type { NewRun } from '../stores/store.ts'
import { accepted, type Ledger } from './ledger.ts'
import type { Worker } from './worker.ts'

export interface SubmitParts {
  readonly ledger: Ledger
  readonly worker: Worker
  readonly instance: () => InstanceId
  /** The reply was lost: the run may have been born claimed. */
  readonly lostReply: () => void
}

/** A start → an insert, answered after its commit. `by`: the attempt that starts it, under its claim. */
export async function submit(
  { ledger, worker, instance, lostReply }: SubmitParts,
  run: NewRun,
  by?: Claim,
): Promise<Started> {
  const reserved = worker.reserve(run)
  try {
    const write = {
      kind: 'insert',
      run,
      ...(reserved ? { claimFor: instance() } : {}),
      ...(by === undefined ? {} : { by }),
    } as const
    const answer = accepted<'insert'>(await ledger.add(write))
    if (answer === 'fenced') throw new FencedError(by === undefined ? run.id : claimText(by))
    worker.inserted(run, answer)
    return { id: answer.id, disposition: answer.disposition }
  } catch (error) {
    if (reserved) lostReply()
    throw error
  } finally {
    if (reserved) worker.unreserve(run)
  }
}

/** The input is checked and written down here: what cannot be kept is refused before anything is written. */
export function newRun(id: RunId, request: StartRequest, limit: PayloadLimit): NewRun {
  const { task, input, fingerprint, options, parent } = request
  const { idempotencyKey: key } = options
  return {
    id,
    task: task.name,
    version: task.version,
    thread: task.thread,
    queue: options.queue,
    priority: options.priority,
    input: encode(input, `The input of the task "${task.name}"`, limit),
    delay: options.delay,
    at: options.at,
    maxAttempts: task.retry.attempts,
    timeout: task.timeout,
    onCrash: task.onCrash,
    owner: options.owner,
    tags: options.tags,
    parent,
    idempotency: key === null || fingerprint === null ? null : { key, fingerprint },
  }
}

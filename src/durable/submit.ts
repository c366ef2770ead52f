import type { Claim, RunId } from '../core/claim.ts'
import { FencedError } from '../core/errors.ts'
import { claimText, type InstanceId } from '../core/claim.ts'
import { encode, type PayloadLimit } from '../core/payload.ts'
import type { Started, StartRequest } from '../core/runs.ts'
import type { NewRun } from '../stores/store.ts'
import { accepted, type Ledger } from './ledger.ts'
import type { Worker } from './worker.ts'

export interface SubmitParts {
  readonly ledger: Ledger
  readonly worker: Worker
  readonly instance: () => InstanceId
  readonly limit: PayloadLimit
}

/** A start → an insert, answered after its commit. `by`: the attempt that starts it, under its claim. */
export async function submit(parts: SubmitParts, start: { readonly id: RunId; readonly request: StartRequest; readonly by?: Claim }): Promise<Started> {
  const { ledger, worker } = parts
  const run = newRun(start.id, start.request, parts.limit)
  const reserved = worker.reserve(run)
  try {
    const write = { kind: 'insert', run, ...(reserved ? { claimFor: parts.instance() } : {}), ...(start.by === undefined ? {} : { by: start.by }) } as const
    const answer = accepted<'insert'>(await ledger.add(write))
    if (answer === 'fenced') throw new FencedError(start.by === undefined ? '' : claimText(start.by))
    worker.inserted(run, answer)
    return { id: run.id, disposition: answer.disposition }
  } finally {
    if (reserved) worker.unreserve(run)
  }
}

function newRun(id: RunId, { task, input, options, parent }: StartRequest, limit: PayloadLimit): NewRun {
  return {
    id, task: task.name, version: task.version, thread: task.thread,
    queue: options.queue, priority: options.priority,
    input: encode(input, `The input of the task "${task.name}"`, limit),
    delay: options.delay, at: options.at,
    maxAttempts: task.retry.attempts, timeout: task.timeout, onCrash: task.onCrash,
    owner: options.owner, tags: options.tags, parent,
  }
}

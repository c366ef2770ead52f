import type { Claim } from '../core/claim.ts'
import { CanceledError, OffstageError } from '../core/errors.ts'
import { toFailure } from '../core/failure.ts'
import { failed, type Outcome, type Verdict } from '../core/outcome.ts'
import { decode, encode } from '../core/payload.ts'
import type { Run } from '../core/run.ts'
import { isDone, type State } from '../core/run-state.ts'
import type { RunEnd } from '../core/runs.ts'
import { perform } from '../runtime/perform.ts'
import type { ClaimedRun, RunRecord, Settled } from '../stores/store.ts'
import { Attempt, type AttemptParts, type Held, type Holder } from './attempt.ts'
import { accepted, isRefused } from './ledger.ts'
import { runOf } from './records.ts'

type Text = string | null

/** Attempts of durable runs: performed with what the store remembers at hand, and what they came to recorded under their claim. */
export class Attempts {
  readonly #parts: AttemptParts

  constructor(parts: AttemptParts) {
    this.#parts = parts
  }

  async perform(held: Held, holder: Holder): Promise<Verdict<Text>> {
    const { clock, random, channels, limits, loop, threads } = this.#parts
    const { run, task, claim, ending } = held
    channels.tell('run:started', () => ({ run: runOf(run) }))
    const executor = task.thread ? threads : loop
    const attempt = new Attempt(this.#parts, { held, holder, executor })
    const keep = (value: unknown): Text =>
      encode(value, `The result of the task "${task.name}"`, { bytes: limits.result, depth: limits.depth })
    const trial = { retry: task.retry, onCrash: task.onCrash, maxAttempts: run.maxAttempts, tries: run.tries }
    const input = inputOf(run)
    if ('threw' in input) return { outcome: failed('error', toFailure(input.threw)), thrown: input.threw }
    const call = { claim, task, input: input.value, context: attempt.context(), journal: attempt }
    const verdict = await perform({ call, trial, ending, origin: attempt, keep }, { executor, clock, random })
    attempt.end()
    return verdict
  }

  /** Written in this turn; answers after the commit: milliseconds until the run is due again, where it is. */
  async record(held: Held, verdict: Verdict<Text>, holder: Holder): Promise<number | undefined> {
    const { watch } = this.#parts
    const { run, claim } = held
    let isRepeated = false
    const { answer: first, outcome, thrown } = await this.#settle(claim, verdict, () => (isRepeated = true))
    const answer = first === 'fenced' ? await this.#endedBy(claim, outcome) : first
    if (answer === undefined) {
      // The next try may have begun before the repeat: whether this one's end was written nobody knows any more, and nothing is told.
      if (!(isRepeated && outcome.kind === 'retry')) holder.fence(claim)
      watch.changed(claim.run)
      return undefined
    }
    watch.changed(claim.run, endOf(answer, outcome, thrown))
    const told = (): { readonly run: Run; readonly error: unknown } => ({
      run: runOf({ ...run, ...after(run, answer, outcome) }),
      error: thrown,
    })
    this.#tell(answer.state, outcome.kind, told)
    return outcome.kind === 'retry' && answer.state === 'waiting' ? outcome.after : undefined
  }

  /** An end that the store refuses (too large for it, say) is a failure of this run alone. */
  async #settle(
    claim: Claim,
    verdict: Verdict<Text>,
    lostReply: () => void,
  ): Promise<Verdict<Text> & { readonly answer: Settled | 'fenced' }> {
    const { ledger } = this.#parts
    const answer = await ledger.insist({ kind: 'settle', claim, outcome: verdict.outcome }, lostReply)
    if (!isRefused(answer)) return { ...verdict, answer }
    const thrown = new OffstageError(answer.refused, answer.message)
    const outcome = failed('error', toFailure(thrown))
    return { outcome, thrown, answer: accepted<'settle'>(await ledger.insist({ kind: 'settle', claim, outcome })) }
  }

  /** A reply was lost and the write was repeated: the run reads as this very attempt left it. */
  async #endedBy(claim: Claim, outcome: Outcome<Text>): Promise<Settled | undefined> {
    const record = await this.#parts.store.read({ kind: 'find', run: claim.run }).catch(() => undefined)
    if (record === undefined || record.attempt !== claim.attempt || !reads(record, outcome)) return undefined
    return { state: record.state, at: record.finishedAt ?? record.dueAt }
  }

  #tell(state: State, came: Outcome['kind'], told: () => { readonly run: Run; readonly error: unknown }): void {
    const { channels } = this.#parts
    if (state === 'succeeded') channels.tell('run:succeeded', told)
    else if (state === 'failed') channels.tell('run:failed', told)
    else if (state === 'canceled') channels.tell('run:canceled', told)
    else if (came === 'retry') channels.tell('run:retried', told)
  }
}

/** A row that was damaged is a failure of its run alone; no other try would read it better. */
function inputOf({ id, input }: ClaimedRun): { readonly value: unknown } | { readonly threw: Error } {
  try {
    return { value: decode(input) }
  } catch (cause) {
    return {
      threw: new OffstageError('OFFSTAGE_STORE_CORRUPT', `The stored input of the run ${id} is not JSON.`, { cause }),
    }
  }
}

/** What is thrown has its place and moment in its stack: the same text is the same failure. */
function reads({ state, error }: RunRecord, outcome: Outcome<Text>): boolean {
  if (outcome.kind === 'retry') return state === 'waiting' && error?.stack === outcome.error.stack && error !== null
  return state === outcome.kind
}

/** How the run ended for those who wait for it here; undefined: it waits again. */
function endOf({ state }: Settled, outcome: Outcome<Text>, thrown: unknown): RunEnd | undefined {
  if (state === 'succeeded' && outcome.kind === 'succeeded') return { state, result: decode(outcome.result) }
  if (state === 'failed' && outcome.kind === 'failed') return { state, reason: outcome.reason, error: thrown }
  return state === 'canceled'
    ? { state, error: thrown instanceof CanceledError ? thrown : new CanceledError() }
    : undefined
}

/** The record as the store has it now, without asking for it. */
function after(run: ClaimedRun, { state, at }: Settled, outcome: Outcome<Text>): Partial<ClaimedRun> {
  const failure =
    outcome.kind === 'failed' || outcome.kind === 'retry'
      ? { reason: state === 'failed' ? outcome.reason : null, error: outcome.error }
      : {}
  return {
    state,
    instance: null,
    crashes: 0,
    ...(isDone(state) ? { finishedAt: at } : { dueAt: at }),
    ...(outcome.kind === 'succeeded' ? { result: outcome.result } : failure),
    ...(state === 'canceled' ? { reason: 'canceled' } : {}),
    ...(outcome.kind === 'released' ? { tries: run.tries - 1 } : {}),
  }
}

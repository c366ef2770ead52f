import type { Claim } from '../core/claim.ts'
import { CanceledError, OffstageError } from '../core/errors.ts'
import { toFailure } from '../core/failure.ts'
import type { Json } from '../core/json.ts'
import { classify, failed, type Outcome, type Trial, type Verdict } from '../core/outcome.ts'
import { decode, encode } from '../core/payload.ts'
import type { Run, RunError } from '../core/run.ts'
import { isDone, type State } from '../core/run-state.ts'
import type { RunEnd } from '../core/runs.ts'
import type { TaskPolicy } from '../core/task.ts'
import { FOREVER } from '../core/waiting.ts'
import { maskOf, NOTHING_SHOWN, type Mask } from '../runtime/mask.ts'
import { perform } from '../runtime/perform.ts'
import type { AnswerOf, AttemptRecord, ClaimedRun, RunRecord, Settled, TxStatement } from '../stores/store.ts'
import { Attempt, type AttemptParts, type Held, type Holder } from './attempt.ts'
import { accepted, isRefused } from './ledger.ts'
import { runOf } from './records.ts'

type Text = string | null

/** What an attempt came to, and what belongs to the writing of it. */
export interface Ended extends Verdict<Text> {
  readonly tx?: readonly TxStatement[]
  /** Of what is told; absent where no code was called. */
  readonly mask?: Mask
  /** Absent where the code was not called. */
  readonly attempt?: Pick<Attempt, 'endAgain' | 'now'>
}

/** Attempts of durable runs: performed with what the store remembers at hand, and what they came to recorded under their claim. */
export class Attempts {
  readonly #parts: AttemptParts

  constructor(parts: AttemptParts) {
    this.#parts = parts
  }

  async perform(held: Held, holder: Holder): Promise<Ended> {
    const { clock, random, channels, limits, retention, loop, threads } = this.#parts
    const { run, claim, ending } = held
    const input = this.#inputOf(held)
    const mask = maskFor(held.task, input)
    channels.tell('run:started', () => ({ run: mask.run(runOf(run, retention)) }))
    if ('outcome' in input) return { ...input, mask }
    // The store's deadline goes by the timeout that the run was started with.
    const task = held.task.timeout === run.timeout ? held.task : { ...held.task, timeout: run.timeout }
    const executor = task.thread ? threads : loop
    const attempt = new Attempt(this.#parts, { held, holder, executor, mask })
    const keep = (value: unknown): Text =>
      encode(value, `The result of the task "${task.name}"`, { bytes: limits.result, depth: limits.depth })
    const call = { claim, task, input: input.value, context: attempt.context(), journal: attempt }
    const trial = trialOf(held)
    const verdict = await perform({ call, trial, ending, origin: attempt, keep }, { executor, clock, random })
    const tx = verdict.outcome.kind === 'succeeded' ? await attempt.statements() : []
    attempt.end()
    return { ...verdict, attempt, mask, ...(tx.length > 0 ? { tx } : {}) }
  }

  /** Written in this turn; answers after the commit: milliseconds until the run is due again, where it is. */
  async record(held: Held, ended: Ended, holder: Holder): Promise<number | undefined> {
    const { watch } = this.#parts
    const { run, claim } = held
    const { answer, outcome, thrown } = await this.#settle(held, ended)
    if (answer === 'fenced') {
      holder.fence(claim)
      return undefined
    }
    const end = endOf(answer, outcome, thrown)
    if (end !== undefined) watch.changed(claim.run, end)
    const mask = ended.mask ?? maskOf(held.task.redact)
    const told = (): { readonly run: Run; readonly error: unknown } => ({
      run: mask.run(runOf({ ...run, ...after(run, answer, outcome) }, this.#parts.retention)),
      error: mask.error(thrown),
    })
    this.#tell(answer.state, outcome.kind, told)
    if (answer.state !== 'waiting') return undefined
    if (outcome.kind === 'retry') return outcome.after
    // Both by the store's time: by this process's own clock it might be never.
    const now = ended.attempt?.now() ?? answer.at
    return outcome.kind === 'parked' && answer.at < FOREVER ? Math.max(0, answer.at - now) : undefined
  }

  /** It is held no longer: who waits for its run and was not told of its end asks the store from now on. */
  over({ claim }: Held): void {
    this.#parts.watch.changed(claim.run)
  }

  /**
   * An end that the store refuses (too large for it, say) is a failure of this run alone; where it is the code's own statements that are
   * refused, another try may do better.
   */
  async #settle(held: Held, ended: Ended): Promise<Verdict<Text> & { readonly answer: Settled | 'fenced' }> {
    const answer = await this.#write(held.claim, ended)
    if (!isRefused(answer)) return { ...ended, answer }
    const thrown = new OffstageError(answer.refused, answer.message)
    const instead =
      ended.tx === undefined ? { outcome: failed('error', toFailure(thrown)), thrown } : this.#failure(held, thrown)
    return { ...instead, answer: accepted<'settle'>(await this.#write(held.claim, instead)) }
  }

  async #write(claim: Claim, { outcome, tx, attempt }: Ended): Promise<AnswerOf<'settle'>> {
    let isRepeated = false
    const write = { kind: 'settle', claim, outcome, ...(tx === undefined ? {} : { tx }) } as const
    const answer = await this.#parts.ledger.insist(write, () => {
      isRepeated = true
      attempt?.endAgain()
    })
    return answer === 'fenced' && isRepeated ? this.#endedBy(claim, outcome) : answer
  }

  /** A reply was lost and the write was repeated: what the store says of this very attempt. */
  async #endedBy({ run, attempt }: Claim, outcome: Outcome<Text>): Promise<Settled | 'fenced'> {
    const found = await this.#parts.store.read({ kind: 'details', run }).catch(() => undefined)
    if (found === undefined) return 'fenced'
    const { record, attempts } = found
    const past = attempts.find((one) => one.attempt === attempt)
    // The next attempt may have begun meanwhile, or ended.
    if (past !== undefined && cameTo(past, outcome))
      return { state: 'waiting', at: record.attempt === attempt ? record.dueAt : past.endedAt }
    if (past !== undefined || record.attempt !== attempt || !reads(record, outcome)) return 'fenced'
    return { state: record.state, at: record.finishedAt ?? record.dueAt }
  }

  /** What the code is given, or what becomes of an attempt that cannot be given it. */
  #inputOf({ run, task, ...held }: Held): { readonly value: unknown } | Verdict<Text> {
    const { limits } = this.#parts
    let value: unknown
    try {
      value = decode(run.input)
    } catch (cause) {
      // A row that was damaged is a failure of its run alone; no other try would read it better.
      const words = `The stored input of the run ${run.id} is not JSON.`
      const thrown = new OffstageError('OFFSTAGE_STORE_CORRUPT', words, { cause })
      return { outcome: failed('error', toFailure(thrown)), thrown }
    }
    if (task.upcast === undefined || run.version >= task.version) return { value }
    try {
      const upcast: unknown = task.upcast((value ?? null) as Json, run.version) // it was written from JSON
      const limit = { bytes: limits.input, depth: limits.depth }
      return { value: decode(encode(upcast, `What \`upcast\` of the task "${task.name}" answered`, limit)) }
    } catch (thrown) {
      return this.#failure({ run, task, ...held }, thrown)
    }
  }

  /** As if the code had thrown it. */
  #failure(held: Held, threw: unknown): Verdict<Text> {
    return classify({ threw }, undefined, { ...trialOf(held), chance: this.#parts.random.fraction() })
  }

  #tell(state: State, came: Outcome['kind'], told: () => { readonly run: Run; readonly error: unknown }): void {
    const { channels } = this.#parts
    if (state === 'succeeded') channels.tell('run:succeeded', told)
    else if (state === 'failed') channels.tell('run:failed', told)
    else if (state === 'canceled') channels.tell('run:canceled', told)
    else if (came === 'retry') channels.tell('run:retried', told)
  }
}

const trialOf = ({ run, task }: Held): Omit<Trial, 'chance'> => ({
  retry: task.retry,
  onCrash: task.onCrash,
  maxAttempts: run.maxAttempts,
  tries: run.tries,
})

const cameTo = ({ came, error }: AttemptRecord, outcome: Outcome<Text>): boolean =>
  came === outcome.kind && (outcome.kind !== 'retry' || isSame(error, outcome.error))

/** An end that was canceled for whatever it was told as, is. */
function reads({ state, error }: RunRecord, outcome: Outcome<Text>): boolean {
  if (state === 'canceled') return outcome.kind !== 'succeeded'
  return state === outcome.kind && (outcome.kind !== 'failed' || isSame(error, outcome.error))
}

/** What is thrown has its place and moment in its stack: the same text is the same failure. */
const isSame = (a: RunError | null, b: RunError): boolean => a?.stack === b.stack && a?.message === b.message

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
    ...(state === 'waiting' && outcome.kind !== 'retry' ? { tries: run.tries - 1 } : {}),
  }
}

/** What cannot be read hides what must not be shown, and what is said of it may quote it. */
const maskFor = ({ redact }: TaskPolicy, input: { readonly value: unknown } | Verdict<Text>): Mask =>
  'value' in input ? maskOf(redact, input.value) : redact.length === 0 ? maskOf([]) : NOTHING_SHOWN

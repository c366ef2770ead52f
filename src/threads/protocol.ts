import type { Claim } from '../core/claim.ts'
import type { Duration } from '../core/duration.ts'
import { FencedError, OffstageError } from '../core/errors.ts'
import { fromFailure } from '../core/failure.ts'
import type { LogLevel } from '../core/logger.ts'
import type { Parking } from '../core/outcome.ts'
import type { PayloadLimits } from '../core/payload.ts'
import type { ProgressRecord, Run, RunError } from '../core/run.ts'
import type { Started } from '../core/runs.ts'
import type { Cancellation, StartOptions } from '../core/start.ts'
import { messageOf } from '../core/thrown.ts'

/** What a thread is started with. */
export interface ThreadData {
  /** URL of the tasks module. */
  readonly module: string
  readonly limits: PayloadLimits
  /** One number in the memory of both: the last call that began. A thread that dies tells nothing more. */
  readonly begun: Int32Array
}

export interface Perform {
  readonly kind: 'perform'
  /** Of this thread, from 1: what is said of another call than the present one came too late. */
  readonly call: number
  readonly claim: Claim
  readonly task: string
  readonly input: unknown
  /** The store's time, as `Journal` has it; null: the run is in memory. */
  readonly now: number | null
  /** Its store has transactions. */
  readonly tx: boolean
}

export interface Abort {
  readonly kind: 'abort'
  readonly call: number
  readonly reason: RunError
}

/** To a thread; besides, the answers to what it asks. */
export type ToThread = Perform | Abort

/** Of the attempt under way. */
export type OfCall = { readonly call: number } & (
  | { readonly kind: 'progress'; readonly progress: ProgressRecord }
  | { readonly kind: 'output'; readonly data: unknown }
  | { readonly kind: 'log'; readonly level: LogLevel; readonly fields: object; readonly message: string | undefined }
  | { readonly kind: 'returned'; readonly value: unknown }
  | { readonly kind: 'threw'; readonly failure: RunError }
  | { readonly kind: 'parked'; readonly parking: Parking }
)

/** From a thread; besides, what it asks. */
export type FromThread =
  | OfCall
  | { readonly kind: 'loaded' }
  | { readonly kind: 'broken'; readonly failure: RunError }
  /** An attempt, perhaps ended by now, set free a failure that nobody caught. */
  | { readonly kind: 'stray'; readonly claim: Claim; readonly task: string; readonly failure: RunError }
  /** A message came that cannot be read: whoever waits for what it said would wait for ever. */
  | { readonly kind: 'unreadable'; readonly failure: RunError }

/** What an attempt asks of our side; `call` as above. */
export type Asks = {
  readonly recall: readonly [{ readonly call: number; readonly name: string }, string | null | undefined]
  readonly record: readonly [
    { readonly call: number; readonly name: string; readonly result: string | null },
    string | null,
  ]
  readonly 'tx.query': readonly [
    { readonly call: number; readonly text: string; readonly values: readonly unknown[] | undefined },
    { readonly rows: readonly unknown[] },
  ]
  readonly start: readonly [
    {
      readonly call: number
      readonly task: string
      readonly input: unknown
      readonly options: StartOptions | undefined
    },
    Started,
  ]
  readonly status: readonly [OfChild, Run]
  readonly result: readonly [OfChild & { readonly timeout: Duration | undefined }, unknown]
  readonly cancel: readonly [OfChild & { readonly reason: string | undefined }, Cancellation]
}
export interface OfChild {
  readonly call: number
  readonly child: string
}

export type Ask = <K extends keyof Asks>(kind: K, body: Asks[K][0]) => Promise<Asks[K][1]>

/** A failure of the other side as an error here. */
export function revive(failure: RunError): Error {
  const error = failure.code === 'OFFSTAGE_FENCED' ? fenced(failure) : fromFailure(failure)
  return failure.expose ? Object.assign(error, { expose: true }) : error
}

function fenced({ message, stack }: RunError): FencedError {
  const error = new FencedError('')
  error.message = message
  return stack === undefined ? error : Object.assign(error, { stack })
}

/** What cannot be cloned is an error of the one run that sent it. */
export const notCloneable = (what: string, cause: unknown): OffstageError =>
  new OffstageError(
    'OFFSTAGE_NOT_SERIALIZABLE',
    `${what} cannot be sent between threads: ${messageOf(cause)} Send plain data: no functions, promises, sockets or requests.`,
    { cause },
  )

export const attemptEnded = (): OffstageError =>
  new OffstageError('OFFSTAGE_RUN_FINISHED', 'The attempt has ended: what its code still asks for is not done.')

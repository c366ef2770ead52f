import type { Claim, InstanceId, RunId } from '../core/claim.ts'
import type { ErrorCode } from '../core/errors.ts'
import type { InstanceRecord, Liveness } from '../core/liveness.ts'
import type { Outcome } from '../core/outcome.ts'
import type { ProgressRecord, Reason, RunError } from '../core/run.ts'
import type { StoredEvent } from '../core/run-events.ts'
import type { State } from '../core/run-state.ts'

/** What a start asks the store to keep. Payloads are JSON text; null is no payload. */
export interface NewRun {
  readonly id: RunId
  readonly task: string
  readonly version: number
  readonly thread: boolean
  readonly queue: string
  readonly priority: number
  readonly input: string | null
  /** Due that many milliseconds from the store's now … */
  readonly delay: number
  /** … or at that moment (since the epoch), where it is not null. */
  readonly at: number | null
  readonly maxAttempts: number
  /** Of one attempt; the store's deadline is this and a second more, so that the holder's own timeout comes first. */
  readonly timeout: number | null
  readonly onCrash: 'retry' | 'fail'
  readonly owner: string | null
  readonly tags: readonly string[]
  readonly parent: RunId | null
}

/** A run as stores keep it. Moments are milliseconds since the epoch, by the store's clock. */
export interface RunRecord extends Omit<NewRun, 'input' | 'delay' | 'at'> {
  readonly state: State
  /** The fencing number: only grows. */
  readonly attempt: number
  readonly tries: number
  /** In a row; 0 again when an attempt records an end of its own. */
  readonly crashes: number
  readonly reason: Reason | null
  readonly createdAt: number
  readonly dueAt: number
  readonly startedAt: number | null
  readonly finishedAt: number | null
  readonly progress: ProgressRecord | null
  readonly result: string | null
  readonly error: RunError | null
  readonly cancelRequested: boolean
  /** Who performs it; null while nobody does. */
  readonly instance: InstanceId | null
  /** Number of its last event. */
  readonly number: number
  /** Events up to this number are no longer kept. */
  readonly trimmed: number
}
export interface ClaimedRun extends RunRecord {
  readonly input: string | null
}

/** A task at a version, as an instance registered it. Where a run is performed is the claiming instance's word, whatever its row says. */
export interface Version {
  readonly task: string
  readonly version: number
  readonly thread: boolean
}
/** How many more runs an instance takes: in all, and of these on threads. */
export interface Places {
  readonly all: number
  readonly threads: number
}

export interface Claimed {
  /** In the order in which they shall begin: priority, then due time, then age. */
  readonly claimed: readonly ClaimedRun[]
  /** The highest priority that is due and was left waiting for want of a place; null: nothing was. */
  readonly left: number | null
  /** Milliseconds until the next waiting run becomes due; null: none will. */
  readonly next: number | null
}

export interface Inserted {
  /** `existing`: the id was there, and nothing was changed. */
  readonly disposition: 'created' | 'existing'
  readonly createdAt: number
  readonly dueAt: number
  /** Born running: claimed by `claimFor`, attempt 1. */
  readonly claimed: boolean
}

/** What the run became: where cancel had been requested, a failure, retry or release is a cancel. */
export interface Settled {
  readonly state: State
  /** When it ended or, waiting again, when it is due. */
  readonly at: number
}

export interface StepRecord {
  readonly name: string
  readonly result: string | null
}
/** Progress or a piece of output, to be numbered by the store. */
export type Note =
  | { readonly type: 'progress'; readonly data: ProgressRecord }
  | { readonly type: 'output'; readonly data: string }

export interface Rescued {
  /** Runs that wait again. */
  readonly waiting: readonly RunId[]
  /** Runs that ended by it: poisoned, crashed, or canceled where that was asked for. */
  readonly ended: readonly RunId[]
}

/**
 * Everything that alters the store, as data: kind → [what is asked, what is answered]. Writes are transitions, never CRUD.
 * A write made for an attempt carries its claim, checked in the same statement: run, attempt number, running. No match answers
 * `fenced`: an answer, not an error.
 */
export interface Changes {
  /** `claimFor`: born running where it is due now and that instance is alive. `by`: started by an attempt, under its claim. */
  insert: [{ readonly run: NewRun; readonly claimFor?: InstanceId; readonly by?: Claim }, Inserted | 'fenced']
  /** `dead`: the instance is unknown or was marked dead, and gets nothing. */
  claim: [
    { readonly instance: InstanceId; readonly can: readonly Version[]; readonly places: Places },
    Claimed | 'dead',
  ]
  settle: [{ readonly claim: Claim; readonly outcome: Outcome<string | null> }, Settled | 'fenced']
  /** A step's name recorded twice by the same run keeps its first result. */
  record: [{ readonly claim: Claim; readonly step: StepRecord }, 'done' | 'fenced']
  note: [{ readonly claim: Claim; readonly notes: readonly Note[] }, 'done' | 'fenced']
  /** Waiting: canceled. Running: cancel is requested. Ended: nothing. The run as it then is. */
  control: [{ readonly run: RunId; readonly verb: 'cancel'; readonly reason: string | null }, RunRecord | 'unknown']
  presence: [{ readonly instance: InstanceRecord; readonly change: 'joins' | 'leaves' }, 'alive' | 'dead' | 'gone']
  /**
   * Marks these instances dead, then takes back the running runs of every dead or missing instance, at most `limit`; and ends, as
   * canceled, running runs whose cancel was requested more than 10 s ago.
   */
  rescue: [{ readonly dead: readonly InstanceId[]; readonly limit: number }, Rescued]
}
export type Kind = keyof Changes
export type WriteOf<K extends Kind> = { readonly kind: K } & Changes[K][0]
export type Write = { [K in Kind]: WriteOf<K> }[Kind]

/** This write could not be done, and its neighbours in the batch were. */
export interface Refused {
  readonly refused: ErrorCode
  readonly message: string
}
export type AnswerOf<K extends Kind> = Changes[K][1] | Refused
export type Answer = AnswerOf<Kind>

export interface Performing {
  readonly claim: Claim
  readonly cancelRequested: boolean
}

/** Everything that can be asked without altering it: kind → [the question, the answer]. */
export interface Questions {
  find: [{ readonly run: RunId }, RunRecord | undefined]
  /** The run, and its kept events after that number, in order: at most `EVENTS_PAGE`, and where there are so many, ask again. */
  events: [
    { readonly run: RunId; readonly after: number },
    (
      | { readonly record: RunRecord; readonly events: readonly StoredEvent[]; readonly firstOutput: number | null }
      | undefined
    ),
  ]
  steps: [{ readonly run: RunId }, readonly StepRecord[]]
  /** Those not marked dead. */
  instances: [object, readonly InstanceRecord[]]
  /** Current claims of that instance. */
  performing: [{ readonly instance: InstanceId }, readonly Performing[]]
}
export type QuestionKind = keyof Questions
export type QuestionOf<K extends QuestionKind> = { readonly kind: K } & Questions[K][0]
export type Question = { [K in QuestionKind]: QuestionOf<K> }[QuestionKind]

/**
 * SEAM. The promise and the disk. Rules: batches only, one `write` is one transaction, its answers are in order and all true, or it
 * rejects as a whole; a write that alone cannot be done answers `Refused` and its neighbours commit; time is the store's.
 */
export interface Store {
  /** Batches under way at once; they commit in the order they were sent. */
  readonly flights: number
  /** Opens, migrates, checks; rejects with an `OFFSTAGE_STORE_*` error. */
  open(): Promise<Liveness>
  write(batch: readonly Write[]): Promise<readonly Answer[]>
  read<K extends QuestionKind>(question: QuestionOf<K>): Promise<Questions[K][1]>
  /** Closing twice is closing once. */
  close(): Promise<void>
}

import type { Claim, InstanceId, RunId } from '../core/claim.ts'
import type { ErrorCode } from '../core/errors.ts'
import type { InstanceRecord, Liveness } from '../core/liveness.ts'
import type { Outcome } from '../core/outcome.ts'
import type { StoredEvent } from '../core/run-events.ts'
import type { State } from '../core/run-state.ts'
import type { RunFilter } from '../core/runs.ts'
import type { Version } from '../core/version.ts'
import type {
  ClaimedRun,
  DetailsRecord,
  NewRun,
  Note,
  RunRecord,
  StepRecord,
  TxStatement,
  Unperformed,
} from './records.ts'

export type * from './records.ts'

export type { Version } from '../core/version.ts'
/** How many more runs an instance takes: in all, of these on threads, and of these with two crashes (one at a time: see `SUSPECT_AT`). */
export interface Places {
  readonly all: number
  readonly threads: number
  readonly suspects: number
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
  /** Of the run that is there: another one's where the idempotency key was known. */
  readonly id: RunId
  /** `existing`: the id or the idempotency key was there, and nothing was changed. */
  readonly disposition: 'created' | 'existing'
  readonly createdAt: number
  readonly dueAt: number
  /** Born running: claimed by `claimFor`, attempt 1. */
  readonly claimed: boolean
}

/** What the run became: where cancel had been requested, a failure, retry, park or release is a cancel. */
export interface Settled {
  readonly state: State
  /** When it ended or, waiting again, when it is due. */
  readonly at: number
}

export interface Rescued {
  /** Those that were marked dead by it. */
  readonly dead: readonly InstanceId[]
  /** Runs that wait again. */
  readonly waiting: readonly RunId[]
  /** Runs that ended by it: poisoned, crashed, out of time, or canceled where that was asked for. */
  readonly ended: readonly RunId[]
}

/** How long ended runs are kept at least, in milliseconds; and how many bytes the store may use before the oldest of them go sooner. */
export interface Retention {
  readonly succeeded: number
  readonly failed: number
  readonly canceled: number
  readonly maxBytes: number | null
}

/** What an operator's word did. */
export interface Controlled {
  /** False: the run's state does not allow it, and nothing was changed. */
  readonly done: boolean
  /** As it is now; removed, as it was. */
  readonly run: RunRecord
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
  /**
   * `tx`, only with a success: carried out in the same transaction, before the end. One that fails is `Refused` with
   * OFFSTAGE_BAD_OPTION, and neither is written.
   */
  settle: [
    { readonly claim: Claim; readonly outcome: Outcome<string | null>; readonly tx?: readonly TxStatement[] },
    Settled | 'fenced',
  ]
  /** A step's name recorded twice by the same run keeps its first result: `kept`. */
  record: [{ readonly claim: Claim; readonly step: StepRecord }, 'done' | 'fenced' | { readonly kept: string | null }]
  note: [{ readonly claim: Claim; readonly notes: readonly Note[] }, 'done' | 'fenced']
  /**
   * Recorded as the next step of that name (`signalStep` of core/waiting.ts), its result the payload in an array of one: the n-th
   * signal of a name is the n-th that the run waits for. A run parked for that name is due at once.
   */
  signal: [{ readonly run: RunId; readonly name: string; readonly payload: string }, 'done' | 'unknown' | 'finished']
  /**
   * cancel: waiting → canceled; running: cancel is requested; `done` where the run was not ended yet. rerun: failed or canceled → waiting,
   * due now, tries and crashes at 0, the attempt number and the steps kept, save what a wait left behind (`isOfWait` of core/waiting.ts). remove: an ended run is forgotten.
   */
  control: [
    { readonly run: RunId; readonly verb: 'cancel' | 'rerun' | 'remove'; readonly reason: string | null },
    Controlled | 'unknown',
  ]
  /**
   * `can`: what a joining instance registered, so that others can tell what nobody performs. One that leaves gives back, as released, what it
   * still has: a claim whose reply was lost, an attempt that it abandoned.
   */
  presence: [
    { readonly instance: InstanceRecord; readonly change: 'joins' | 'leaves'; readonly can: readonly Version[] },
    'alive' | 'dead' | 'gone',
  ]
  /**
   * Marks these instances dead, then takes back the running runs of every dead or missing instance; then those past their deadline, as
   * a failure by timeout, due again at once where tries are left; and ends, as canceled, running runs whose cancel was requested more than 10 s ago.
   * At most `limit` in all.
   */
  rescue: [{ readonly dead: readonly InstanceId[]; readonly limit: number }, Rescued]
  /** Forgets ended runs older than the retention, then the oldest ended while more than `maxBytes` are in use; at most `limit`, and
   * fewer where that would take long: none are left where the answer is 0. */
  prune: [{ readonly retention: Retention; readonly limit: number }, { readonly removed: number }]
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
  details: [{ readonly run: RunId }, DetailsRecord | undefined]
  /** Newest first, by id; `before`: those older than that id. */
  list: [{ readonly filter: RunFilter; readonly before: RunId | null; readonly limit: number }, readonly RunRecord[]]
  tally: [{ readonly filter: RunFilter }, Readonly<Record<State, number>>]
  /** Whether `rescue` would find anything without being told of the dead: asked often, while a rescue takes the write lock. */
  overdue: [object, boolean]
  /** Tasks at versions with runs due for longer than `for` milliseconds that no living instance registered. */
  unperformed: [{ readonly for: number }, readonly Unperformed[]]
}
export type QuestionKind = keyof Questions
export type QuestionOf<K extends QuestionKind> = { readonly kind: K } & Questions[K][0]
export type Question = { [K in QuestionKind]: QuestionOf<K> }[QuestionKind]

/** A caller's transaction, joined. The run is there when it commits, and is never born claimed: nobody knows when that is. */
export interface JoinedTx {
  insert(run: NewRun): Promise<Inserted | Refused>
  /** Absent where the database is asked over a network. */
  readonly insertNow?: (run: NewRun) => Inserted | Refused
}

/** What an attempt writes beside its run's end, and with it. */
export interface OwnTx {
  /** Rejects what is no writing statement, and what the database does not understand. */
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rows: readonly unknown[] }>
  /** For the settling write, in the order given. */
  readonly statements: readonly TxStatement[]
}

/**
 * SEAM. The promise and the disk. Rules: batches only, one `write` is one transaction, its answers are in order and all true, or it
 * rejects as a whole; a write that alone cannot be done answers `Refused` and its neighbours commit; time is the store's.
 */
export interface Store {
  /**
   * Batches under way at once. Writes about one run take effect in the order in which they were sent (a write's runs are its own, its claim's
   * and its `by`'s; a presence's are all); those of different runs in any order.
   */
  readonly flights: number
  /** Opens, migrates, checks; rejects with an `OFFSTAGE_STORE_*` error. */
  open(): Promise<Liveness>
  /** Rejects where nobody knows whether it was written: it may even be written later. */
  write(batch: readonly Write[]): Promise<readonly Answer[]>
  read<K extends QuestionKind>(question: QuestionOf<K>): Promise<Questions[K][1]>
  /**
   * Calls soon after somebody else's commit, until disposed: look again. May be early, may be twice, and after this store's own.
   * Another process's commit is told within 50 ms, and at the latest within 500.
   */
  wakes(changed: () => void): Disposable
  /** The caller's transaction, to start runs in; undefined: it is none that this store knows. Throws where joining it would not be safe. */
  within(tx: unknown): JoinedTx | undefined
  /** `ctx.tx` of an attempt; undefined: this store has none. */
  begin(claim: Claim): OwnTx | undefined
  /** Closing twice is closing once. */
  close(): Promise<void>
}

import { messageOf } from './thrown.ts'

/** One entry of the catalogue. `docs/reference/errors.md` is generated from these. */
export interface ErrorEntry {
  /** HTTP status of an answer that carries this error. */
  readonly http: number
  /** Exit code of a command that ends with it. */
  readonly exit: number
  /** Fixed per code: the `title` of a problem. */
  readonly title: string
  /** When it comes. */
  readonly when: string
  /** What to do. */
  readonly advice: string
}

/** Every error of Offstage, by code. A code that was retired is never used again. */
export const CATALOGUE = {
  OFFSTAGE_BAD_OPTION: {
    http: 500,
    exit: 2,
    title: 'An option is not valid',
    when: 'An option, a definition or an argument is not what it must be, or names something this version does not do yet.',
    advice: 'The message names the option, what was expected and what was given.',
  },
  OFFSTAGE_OVERLOADED: {
    http: 503,
    exit: 1,
    title: 'Too much work is waiting',
    when: 'As many runs wait in memory, or for a thread, as `memory.capacity` or `threads.capacity` allow; or a run has 1,000 signals of one name. Nothing was started or sent.',
    advice: 'Answer 503 and let the caller come back, raise the capacity, or make the task durable.',
  },
  OFFSTAGE_TIMEOUT: {
    http: 504,
    exit: 1,
    title: 'Time ran out',
    when: 'An attempt took longer than its `timeout`, or `result({ timeout })` stopped waiting (the run goes on).',
    advice: 'Raise the timeout, or split the work into steps.',
  },
  OFFSTAGE_CANCELED: {
    http: 409,
    exit: 1,
    title: 'The run was canceled',
    when: 'The run was canceled before it could end.',
    advice: 'Start another run where the work is still wanted.',
  },
  OFFSTAGE_SHUTDOWN: {
    http: 503,
    exit: 1,
    title: 'The server is shutting down',
    when: '`close` was called or a signal arrived: nothing new is started, and what is left when the grace has passed is aborted.',
    advice: 'Try again with another instance. A durable run goes on elsewhere; a run in memory is gone.',
  },
  OFFSTAGE_FENCED: {
    http: 409,
    exit: 1,
    title: 'Another attempt holds the run',
    when: 'A write was made for an attempt that is no longer the current one: its run was taken over, canceled or ended.',
    advice: 'Nothing: the write changed nothing. Code that sees it as `ctx.signal.reason` should stop.',
  },
  OFFSTAGE_RUN_FAILED: {
    http: 409,
    exit: 1,
    title: 'The run failed',
    when: '`result()` of a run that failed. `cause` holds what the last attempt threw.',
    advice: 'Look at `cause`, and at `reason` of the run: error, timeout, crashed or poisoned.',
  },
  OFFSTAGE_RUN_NOT_FOUND: {
    http: 404,
    exit: 1,
    title: 'There is no such run',
    when: 'No run has that id here: it never was, it is no longer kept, or it was in the memory of another process.',
    advice:
      'Check the id. Ended runs are kept for a while only: durable ones as `retention` says, those in memory for 10 minutes and at most 1,000 of them.',
  },
  OFFSTAGE_RUN_FINISHED: {
    http: 409,
    exit: 1,
    title: 'The run has finished',
    when: 'A request that needs a run that goes on met one that has ended: a signal, or a rerun of a run that succeeded.',
    advice: 'Read the run: its state, result and error tell how it ended.',
  },
  OFFSTAGE_UNKNOWN_TASK: {
    http: 404,
    exit: 1,
    title: 'There is no such task',
    when: 'A durable task or one with `thread: true` was started that is not among the `tasks` of this Offstage.',
    advice: 'Export it from the tasks module, or add it to the list given as `tasks`.',
  },
  OFFSTAGE_DUPLICATE_TASK: {
    http: 500,
    exit: 2,
    title: 'Two tasks have one name',
    when: 'Two different tasks given as `tasks` have the same name.',
    advice: 'Rename one. Runs find their task by its name.',
  },
  OFFSTAGE_INVALID_INPUT: {
    http: 422,
    exit: 2,
    title: 'The input is not valid',
    when: "The task's `input` schema refused what was given. `issues` lists the places. Nothing was started.",
    advice: 'Mend the input at the places named.',
  },
  OFFSTAGE_NOT_SERIALIZABLE: {
    http: 500,
    exit: 1,
    title: 'A value is not JSON',
    when: 'An input, result, step or output of a durable run holds something JSON cannot carry back unchanged (`path` is the place), or one of a run on a thread cannot be cloned.',
    advice: 'Send a plain value: a date as text, a map as an array of pairs, a number that is finite.',
  },
  OFFSTAGE_PAYLOAD_TOO_LARGE: {
    http: 413,
    exit: 1,
    title: 'A value is too large',
    when: 'An input is larger than `limits.input`, or a result, step or output larger than `limits.result` bytes of JSON, or a body larger than its route takes.',
    advice: 'Keep the bytes in a file or a table and pass their key.',
  },
  OFFSTAGE_NOT_DURABLE: {
    http: 409,
    exit: 1,
    title: 'The run is not durable',
    when: '`ctx.step`, `ctx.sleep`, `ctx.waitFor`, `offstage.signal`, `offstage.runs.rerun`, or a start with `tx`, of a task without `durable: true`.',
    advice: 'Say `durable: true`, or do without.',
  },
  OFFSTAGE_THREAD_NEEDS_MODULE: {
    http: 500,
    exit: 2,
    title: 'A thread needs the tasks module',
    when: 'A task with `thread: true` was given by value: a thread can only load it from a module.',
    advice: "Give the module: `tasks: import.meta.resolve('./tasks.ts')`.",
  },
  OFFSTAGE_CRASHED: {
    http: 409,
    exit: 1,
    title: 'The process died',
    when: "The process or thread that performed the last try died, or the task says `onCrash: 'fail'`.",
    advice: 'Look for what ended it: memory, a native module, `process.exit`.',
  },
  OFFSTAGE_POISONED: {
    http: 409,
    exit: 1,
    title: 'The run crashed three processes',
    when: 'Three processes in a row died while performing this run.',
    advice: 'The run is the likely cause. Mend the task, then start the work again.',
  },
  OFFSTAGE_IDEMPOTENCY_MISMATCH: {
    http: 422,
    exit: 2,
    title: 'The idempotency key belongs to another input',
    when: 'A start repeated the `idempotencyKey` of another start of the same task and owner, with another input. Nothing was started.',
    advice: 'Send a key of its own with each request, and the same input with the same key.',
  },
  OFFSTAGE_NOT_A_TRANSACTION: {
    http: 500,
    exit: 2,
    title: 'That is no transaction',
    when: '`tx` is not a connection of `node:sqlite` on the store that is within a transaction.',
    advice: "Open the store's own file with `node:sqlite`, `BEGIN`, call `startSync`, `COMMIT`.",
  },
  OFFSTAGE_RUN_NOT_FINISHED: {
    http: 409,
    exit: 1,
    title: 'The run has not finished',
    when: '`rerun` or `remove` of a run that waits or is running.',
    advice: 'Cancel it first, or wait for its end.',
  },
  OFFSTAGE_STORE_BUSY: {
    http: 503,
    exit: 1,
    title: 'The store is busy',
    when: "Another process has the database's write lock and has committed nothing for five seconds, or a commit had to wait for half a minute.",
    advice: 'Try again. Look for a process that is stopped, or for a long transaction on the file.',
  },
  OFFSTAGE_STORE_FULL: {
    http: 507,
    exit: 1,
    title: 'The store is full',
    when: 'The disk has no room for the commit. Nothing was acknowledged.',
    advice: 'Make room; what waits goes on by itself.',
  },
  OFFSTAGE_STORE_CORRUPT: {
    http: 500,
    exit: 1,
    title: 'The store is damaged',
    when: 'The database file is no database, or is damaged.',
    advice: 'Stop, keep a copy of the file with its -wal, and restore a backup. Nothing was overwritten.',
  },
  OFFSTAGE_STORE_UNAVAILABLE: {
    http: 503,
    exit: 1,
    title: 'The store cannot be reached',
    when: 'The store could not be opened, or stopped answering.',
    advice: 'The cause names the path and the reason. Nothing was acknowledged.',
  },
  OFFSTAGE_STORE_VERSION: {
    http: 500,
    exit: 1,
    title: 'The store is of another version',
    when: 'The database was written by a newer version of Offstage, or before the first release. It was not touched.',
    advice:
      'Newer: deploy that version, or restore a backup of the older one. Before the first release: name another file, or remove it.',
  },
  OFFSTAGE_STORE_UNSAFE: {
    http: 500,
    exit: 1,
    title: 'The store would not be safe',
    when: 'The SQLite library is older than 3.51.3, its settings are not those that durability needs, or a connection given as `tx` is of another SQLite library or does not wait for the disk.',
    advice: 'Do what the message says.',
  },
  OFFSTAGE_UNAUTHORIZED: {
    http: 403,
    exit: 1,
    title: 'Not allowed',
    when: 'A page of another site called, or a right is missing.',
    advice: 'List the origin in `http.origins` where its pages may use the routes; see `http.authorize`.',
  },
} as const

export type ErrorCode = keyof typeof CATALOGUE

export const entryOf = (code: ErrorCode): ErrorEntry => CATALOGUE[code]

/** What every error of Offstage is: a fixed code, a sentence that says what to do, the original as `cause`. */
export class OffstageError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.name = new.target.name
  }
}

/** The schema's issues, each with the path of its place. */
export class InvalidInputError extends OffstageError {
  readonly issues: readonly InputIssue[]
  constructor({ what, so }: { readonly what: string; readonly so: string }, issues: readonly InputIssue[]) {
    super(
      'OFFSTAGE_INVALID_INPUT',
      `${what} was refused in ${issues.length} ${issues.length === 1 ? 'place' : 'places'}. ${so}`,
    )
    this.issues = issues
  }
}
export interface InputIssue {
  readonly message: string
  readonly path: readonly (string | number)[]
}

/** `path` is where, from the root of the value: `['rows', 3, 'when']`. */
export class NotSerializableError extends OffstageError {
  readonly path: readonly (string | number)[]
  constructor(what: string, path: readonly (string | number)[], options?: ErrorOptions) {
    super(
      'OFFSTAGE_NOT_SERIALIZABLE',
      `${what} at ${path.length === 0 ? 'the root' : path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('')} is not JSON.`,
      options,
    )
    this.path = path
  }
}

/** An attempt's time ran out, or a wait for a result ended (then the run goes on). */
export class TimeoutError extends OffstageError {
  constructor(message: string) {
    super('OFFSTAGE_TIMEOUT', message)
  }
}

/** The run was canceled; `message` holds the reason that was given. */
export class CanceledError extends OffstageError {
  constructor(reason?: string) {
    super('OFFSTAGE_CANCELED', reason ? `The run was canceled: ${reason}` : 'The run was canceled.')
  }
}

/** The instance is shutting down. */
export class ShutdownError extends OffstageError {
  constructor(message = 'This instance is shutting down.') {
    super('OFFSTAGE_SHUTDOWN', message)
  }
}

/** Another attempt, or nobody, holds the run: what this one writes changes nothing. */
export class FencedError extends OffstageError {
  constructor(claim: string) {
    super('OFFSTAGE_FENCED', `The attempt ${claim} is no longer the current one: nothing it writes is accepted.`)
  }
}

/** The run failed for good. `cause` is what its last attempt threw; `run` its id. */
export class RunFailedError extends OffstageError {
  readonly run: string
  readonly task: string
  constructor(run: string, task: string, cause: unknown) {
    super('OFFSTAGE_RUN_FAILED', `The run ${run} of the task "${task}" failed: ${messageOf(cause)}`, { cause })
    this.run = run
    this.task = task
  }
}

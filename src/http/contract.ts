import type { InstanceId, RunId } from '../core/claim.ts'
import type { Reason, ProgressRecord, Run } from '../core/run.ts'
import type { State } from '../core/run-state.ts'
import type { StartOptions } from '../core/start.ts'

/** `OffstageOptions.http`: without `authorize`, `owner` or `public: true` the routes stay closed. */
export interface HttpOptions {
  /** The path that clients see the runs' routes under. Default '/runs'. */
  readonly basePath?: string
  /** Asked for every route and run; where it is given, it alone decides. */
  readonly authorize?: Authorize
  /** Who is calling. Alone, it lets each caller read and cancel his own runs. */
  readonly owner?: (request: Request) => string | undefined
  /** Whoever knows a run's id may read and cancel it. Default false. */
  readonly public?: boolean
  /** Other origins whose pages may use the unsafe routes. Default none. */
  readonly origins?: readonly string[]
  readonly limits?: {
    /** Bytes of a request's body. Default `limits.input`. */
    readonly body?: number
    /** Event streams open at once in this instance. Default 1,000. */
    readonly streams?: number
    /** … and of one owner; with `public: true`, of one run. Default 20. */
    readonly streamsPerOwner?: number
  }
}

/** `view`: the run. `payload`: results and output. `act`: cancel. */
export type Right = 'view' | 'payload' | 'act'
export type Action = 'read' | 'cancel'

export interface Ask {
  readonly action: Action
  readonly right: Right
  /** Absent where there is no such run: a yes is then ignored. */
  readonly run?: Run
  /** What `http.owner` says of the caller. */
  readonly owner?: string
}
/** `true`: what was asked, with payload. A list: exactly these. A Response is sent as it is. */
export type Answer = boolean | readonly Right[] | Response
export type Authorize = (request: Request, ask: Ask) => Answer | Promise<Answer>

export interface AcceptOptions<I> extends Omit<StartOptions, 'signal'> {
  /** Instead of the request's JSON body, which is then the route's own to read. */
  readonly input?: I | ((request: Request) => I | Promise<I>)
  /** Bytes. Default `http.limits.body`. */
  readonly maxBody?: number
}

/** Where to go from a run: path-absolute; what its state does not allow is absent. */
export interface Links {
  readonly self: string
  readonly events: string
  readonly cancel?: string
}

/** A run over HTTP. Dates are RFC 3339 in UTC with milliseconds. */
export interface RunBody {
  readonly id: RunId
  readonly task: string
  readonly version: number
  readonly durable: boolean
  readonly thread: boolean
  readonly state: State
  readonly done: boolean
  readonly attempt: number
  readonly tries: number
  readonly maxAttempts: number
  readonly reason: Reason | null
  readonly queue: string
  readonly priority: number
  readonly createdAt: string
  readonly dueAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly expiresAt: string | null
  readonly waitingFor: string | null
  readonly progress: ProgressRecord | null
  /** Up to 64 KiB of JSON. */
  readonly result?: unknown
  readonly error?: ErrorBody
  readonly cancelRequested: boolean
  readonly owner: string | null
  readonly tags: readonly string[]
  readonly instance: InstanceId | null
  readonly parent: RunId | null
  readonly schedule: string | null
  readonly links: Links
}

/** The thrown error's own words only where it carried `expose: true`. */
export interface ErrorBody {
  readonly name: string
  readonly message: string
  readonly code?: string
}

/** RFC 9457, `application/problem+json`. */
export interface ProblemBody {
  /** `about:blank` where HTTP alone is the matter; then there is no `code`. */
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code?: string
  readonly detail: string
  /** JSON Pointers in fragment form. */
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[]
  readonly run?: RunId
  readonly state?: State
}

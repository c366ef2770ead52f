import type { RunId } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import {
  CanceledError,
  entryOf,
  InvalidInputError,
  OffstageError,
  type ErrorCode,
  type InputIssue,
} from '../core/errors.ts'
import type { ProblemBody } from './contract.ts'
import type { Reply } from './reply.ts'

/** Where `docs/reference/errors.md` is published; each code is an anchor in it. */
const ERRORS = 'https://offstage.example/errors'

/** Where HTTP alone is the matter. */
const TITLES = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  408: 'Request Timeout',
  415: 'Unsupported Media Type',
  500: 'Internal error',
} as const

/** Seconds. */
const RETRY_AFTER: Readonly<Partial<Record<ErrorCode, number>>> = {
  OFFSTAGE_OVERLOADED: 1,
  OFFSTAGE_SHUTDOWN: 1,
  OFFSTAGE_STORE_BUSY: 1,
  OFFSTAGE_STORE_UNAVAILABLE: 5,
  OFFSTAGE_STORE_FULL: 60,
}

/** A schema may refuse every item of a long list; whoever mends the first of them has learned enough. */
const MOST_ISSUES = 100

type More = Partial<Pick<ProblemBody, 'status' | 'errors' | 'run' | 'state'>>

const problem = (body: ProblemBody, headers?: Readonly<Record<string, string>>): Reply => ({
  status: body.status,
  headers: { 'content-type': 'application/problem+json', ...headers },
  body: JSON.stringify(body),
})

/** A problem of the catalogue: its title, its status unless `more` has another, its anchor. */
export function coded(code: ErrorCode, detail: string, more: More = {}): Reply {
  const { http, title } = entryOf(code)
  const wait = RETRY_AFTER[code]
  const type = `${ERRORS}#${code.slice('OFFSTAGE_'.length).toLowerCase().replaceAll('_', '-')}`
  const { status = http, ...members } = more
  return problem(
    { type, title, status, code, detail, ...members },
    wait === undefined ? {} : { 'retry-after': String(wait) },
  )
}

export const plain = (status: keyof typeof TITLES, detail: string, headers?: Readonly<Record<string, string>>): Reply =>
  problem({ type: 'about:blank', title: TITLES[status], status, detail }, headers)

/** Errors of a start whose own words are meant for the caller. */
const TOLD: readonly ErrorCode[] = [
  'OFFSTAGE_INVALID_INPUT',
  'OFFSTAGE_PAYLOAD_TOO_LARGE',
  'OFFSTAGE_OVERLOADED',
  'OFFSTAGE_SHUTDOWN',
]
/** Told without their words, which name paths. */
const STORE: readonly ErrorCode[] = ['OFFSTAGE_STORE_BUSY', 'OFFSTAGE_STORE_UNAVAILABLE', 'OFFSTAGE_STORE_FULL']

/** What was thrown, as an answer. `report` writes what the client is not told to the log, and answers the line's id. */
/** The client, or whoever waited for it, went away. */
export const isAbort = (error: unknown): boolean =>
  error instanceof CanceledError || (error instanceof Error && error.name === 'AbortError')

export function failure(error: unknown, report: (error: unknown) => string): Reply {
  if (error instanceof InvalidInputError)
    return coded(error.code, error.message, { errors: error.issues.slice(0, MOST_ISSUES).map(located) })
  if (error instanceof OffstageError && TOLD.includes(error.code)) return coded(error.code, error.message)
  const id = report(error)
  if (error instanceof OffstageError && STORE.includes(error.code))
    return coded(error.code, `${entryOf(error.code).title}. Try again later.`)
  return plain(500, `The log has more under ${id}.`)
}

export const invalidInput = (detail: string, more: More): Reply => coded('OFFSTAGE_INVALID_INPUT', detail, more)

const located = ({ path, message }: InputIssue): { readonly pointer: string; readonly detail: string } => ({
  pointer: `#${path.map((key) => `/${encodeURIComponent(String(key).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('')}`,
  detail: message,
})

/**
 * The one answer for a run that never was, is gone, or is somebody else's; undefined: no id at all. Whether it may have been let go is computed from the time in
 * the id alone, so it tells nothing.
 */
export function runNotFound(
  id: RunId | undefined,
  { clock, kept }: { readonly clock: Clock; readonly kept: number },
): Reply {
  const now = clock.now()
  const createdAt = id === undefined ? now : Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
  return now - createdAt > kept
    ? coded('OFFSTAGE_RUN_NOT_FOUND', 'Runs of that age are no longer kept.', { status: 410 })
    : coded('OFFSTAGE_RUN_NOT_FOUND', 'There is no run with this id, or it is not yours.')
}

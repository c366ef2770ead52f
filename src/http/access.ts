import { hash, timingSafeEqual } from 'node:crypto'
import { OffstageError } from '../core/errors.ts'
import { boolean, callable, optional, refuse, shape, text, whole, type Parser } from '../core/options.ts'
import type { Answer, Ask, Authorize, HttpOptions, Right } from './contract.ts'
import { coded } from './problem.ts'
import { isRead, type Reply } from './reply.ts'

/** `OffstageOptions.http`, parsed and frozen. */
export interface HttpSettings {
  readonly basePath: string
  readonly authorize: Authorize | undefined
  readonly owner: HttpOptions['owner']
  readonly public: boolean
  readonly origins: readonly string[]
  readonly limits: { readonly body: number | undefined; readonly streams: number; readonly streamsPerOwner: number }
}

const path: Parser<string> = (value, at) =>
  typeof value === 'string' &&
  /^\/.*[^/]$/.test(value) &&
  !value.includes('//') &&
  URL.parse(value, 'http://localhost')?.pathname === value
    ? value
    : refuse(at, "a path such as '/runs', without a slash at its end", value)
const origin: Parser<string> = (value, at) =>
  typeof value === 'string' && URL.parse(value)?.origin === value
    ? value
    : refuse(at, "an origin such as 'https://app.example', without a path", value)
const origins: Parser<readonly string[]> = (value, at) =>
  Array.isArray(value)
    ? Object.freeze(value.map((item: unknown, index) => origin(item, `${at}[${index}]`)))
    : refuse(at, 'an array of origins', value)

const limits = shape(
  { body: optional(whole(1), undefined), streams: optional(whole(0), 1_000), streamsPerOwner: optional(whole(0), 20) },
  ['wait'],
)

const settings = shape(
  {
    basePath: optional(path, '/runs'),
    authorize: optional((value, at) => callable(value, at) as Authorize, undefined), // a function's type cannot be checked; its answer is
    owner: optional((value, at) => callable(value, at) as NonNullable<HttpOptions['owner']>, undefined), // the same
    public: optional(boolean, false),
    origins: (value, at) => origins(value ?? [], at),
    limits: (value, at) => limits(value ?? {}, at),
  },
  ['limit'],
)

export const parseHttp = (value: unknown, at: string): HttpSettings => settings(value ?? {}, at)

/** Throws where nobody said who may use the routes. */
export function mustBeOpen({ authorize, owner, public: open }: HttpSettings): void {
  if (authorize ?? owner ?? (open || undefined)) return
  throw new OffstageError(
    'OFFSTAGE_BAD_OPTION',
    'The HTTP routes are closed until you say who may use them. Give createOffstage one of: `http: { authorize: (request, ask) => … }`, which decides each request; ' +
      "`http: { owner: (request) => … }`, by which callers read and cancel their own runs; or `http: { public: true }`, by which whoever knows a run's id does.",
  )
}

/** The key under which `fetch` carries `mustBeOpen`, so that an adapter can ask where it is mounted. */
export const MOUNT: unique symbol = Symbol.for('offstage.mount')

export interface Mountable {
  readonly [MOUNT]?: () => void
}
export type Handler = ((request: Request) => Response | Promise<Response>) & Mountable

/** The caller, by `http.owner`; undefined: nobody in particular. */
export function callerOf({ owner }: HttpSettings, request: Request): string | undefined {
  const name: unknown = owner?.(request)
  return name === undefined || name === null || name === '' ? undefined : text(name, 'http.owner(…)')
}

const ALL: ReadonlySet<Right> = new Set(['view', 'payload', 'act'])

/** What the caller may do with the run; or the Response that `authorize` gave instead. */
export async function rightsOf(
  http: HttpSettings,
  request: Request,
  ask: Omit<Ask, 'owner'>,
): Promise<ReadonlySet<Right> | Response> {
  const owner = callerOf(http, request)
  if (http.authorize !== undefined) {
    const answer = await http.authorize(request, { ...ask, ...(owner === undefined ? {} : { owner }) })
    return answer instanceof Response ? answer : granted(answer, ask.right)
  }
  return http.public || isOwner(owner, ask.run?.owner) ? ALL : new Set()
}

/** Whatever is no clear yes is a no. */
function granted(answer: Exclude<Answer, Response>, right: Right): ReadonlySet<Right> {
  if (answer === true) return new Set<Right>([right, 'payload'])
  return Array.isArray(answer) ? new Set<Right>(answer) : new Set()
}

/** Digests are compared, so that the time tells neither how much of a name fits nor how long it is. */
function isOwner(caller: string | undefined, owner: string | null | undefined): boolean {
  const same = timingSafeEqual(hash('sha256', caller ?? '', 'buffer'), hash('sha256', owner ?? '', 'buffer'))
  return same && caller !== undefined
}

/** A page of another site must not act with its visitor's cookies. Neither header: no browser of the last years sent it. */
export function crossSite({ origins: allowed }: HttpSettings, request: Request): Reply | undefined {
  if (isRead(request.method)) return undefined
  const site = request.headers.get('sec-fetch-site')
  const from = request.headers.get('origin')
  if (site === 'same-origin' || site === 'none' || (from !== null && allowed.includes(from))) return undefined
  if (site === null && from === null)
    return request.headers.has('cookie')
      ? coded(
          'OFFSTAGE_UNAUTHORIZED',
          'A request with a cookie must say where it comes from, by Sec-Fetch-Site or Origin.',
        )
      : undefined
  if (site === null && from !== null && URL.parse(from)?.host === new URL(request.url).host) return undefined
  return coded(
    'OFFSTAGE_UNAUTHORIZED',
    'Pages of this origin may not use this route. List the origin in http.origins if they should.',
  )
}

import type { RunId } from '../core/claim.ts'
import { optional, refuse, shape, whole, type Parser } from '../core/options.ts'
import type { RunSnapshot } from '../core/run.ts'
import type { AnyTask } from '../core/task.ts'
import { callerOf, crossSite } from './access.ts'
import { readJson, tooLarge, wrongMedia } from './body.ts'
import type { AcceptOptions } from './contract.ts'
import type { Surface } from './parts.ts'
import { plain } from './problem.ts'
import { json, type Reply } from './reply.ts'
import { retryAfter, runBody } from './run-body.ts'
import { allowOf } from './routes.ts'

const asGiven: Parser<unknown> = (value) => value

/** What `start` takes too is checked there. */
const known = shape(
  {
    input: asGiven,
    maxBody: optional(whole(0), undefined),
    delay: asGiven,
    at: asGiven,
    priority: asGiven,
    queue: asGiven,
    owner: asGiven,
    tags: asGiven,
  },
  ['idempotencyKey', 'wait', 'tx', 'webhook'],
)

export function parseAccept(options: unknown): AcceptOptions<unknown> {
  const given = options ?? {}
  known(given, 'accept.options')
  return given // its values are looked at by `start`
}

const ALLOW = allowOf([{ method: 'POST' }])

/** A request's answer by a run. The checks stand in the order of their cost; each answers before the next. */
export async function accepted(
  surface: Surface,
  request: Request,
  given: { readonly task: AnyTask; readonly options: AcceptOptions<unknown> },
): Promise<Reply> {
  const { input, maxBody, ...start } = given.options
  const bytes = maxBody ?? surface.settings.limits.body ?? surface.limits.input
  const isOurs = input === undefined
  const refusal =
    wrongMethod(request) ??
    (isOurs ? wrongMedia(request) : undefined) ??
    crossSite(surface.settings, request) ??
    (isOurs ? tooLarge(request, bytes) : undefined) ??
    keyed(request)
  if (refusal !== undefined) return refusal
  if (isOurs && request.bodyUsed) refuse('accept.options.input', 'given where the route reads the body itself', input)

  const body = isOurs
    ? await readJson(request, { bytes, depth: surface.limits.depth }, surface.clock)
    : { value: await inputOf(input, request) }
  if ('refusal' in body) return body.refusal
  const owner = start.owner ?? callerOf(surface.settings, request)
  const { id } = await surface.submit(given.task, body.value, owner === undefined ? start : { ...start, owner })
  return acknowledgement(surface, request, id)
}

function wrongMethod({ method }: Request): Reply | undefined {
  if (method === 'POST') return undefined
  if (method === 'OPTIONS') return { status: 204, headers: { allow: ALLOW } }
  return plain(405, 'Work is handed in by POST.', { allow: ALLOW })
}

/** A client that sends a key counts on it: ignoring one would do the work twice. */
const keyed = (request: Request): Reply | undefined =>
  request.headers.has('idempotency-key')
    ? plain(400, 'Idempotency-Key is not available in this version. Send the request without it.')
    : undefined

const inputOf = async (input: unknown, request: Request): Promise<unknown> =>
  typeof input === 'function' ? await (input as (request: Request) => unknown)(request) : input // any function is that one: JSON has none

/** 202 with the run as it is. It has been acknowledged: where it cannot be read now, its address is answer enough. */
async function acknowledgement(surface: Surface, request: Request, id: RunId): Promise<Reply> {
  const found = await read(surface, id)
  const links = surface.links(id, found?.run.state)
  const headers = {
    location: links.self,
    'retry-after': found === undefined ? '1' : retryAfter(found.run, surface.clock.now()),
    ...(prefersAsync(request.headers.get('prefer')) ? { 'preference-applied': 'respond-async' } : {}),
  }
  return json(202, found === undefined ? { id, links } : runBody(found.run, false, links), headers)
}

async function read({ runs, logger }: Surface, id: RunId): Promise<RunSnapshot | undefined> {
  try {
    return await runs.get(id)
  } catch (error) {
    logger.warn({ err: error, run: id }, 'A run was started, but could not be read for its 202.')
    return undefined
  }
}

const prefersAsync = (prefer: string | null): boolean =>
  prefer !== null && prefer.split(',').some((preference) => /^\s*respond-async\s*(?:;|$)/i.test(preference))

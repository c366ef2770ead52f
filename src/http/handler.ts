import type { RunId } from '../core/claim.ts'
import type { RunSnapshot } from '../core/run.ts'
import type { AnyTask } from '../core/task.ts'
import { accepted, parseAccept } from './accepted.ts'
import { crossSite, MOUNT, mustBeOpen, rightsOf, type Mountable } from './access.ts'
import type { Right } from './contract.ts'
import type { HttpParts, Surface } from './parts.ts'
import { coded, failure, isAbort, plain, runNotFound } from './problem.ts'
import { responseTo, type Reply } from './reply.ts'
import { allowOf, linksAt, routesAt, type Route } from './routes.ts'
import { StreamPlaces } from './stream-places.ts'

export interface Http {
  /** Rejects with OFFSTAGE_BAD_OPTION where the routes are closed or the options are none; else answers, whatever happens. */
  readonly accept: (request: Request, task: AnyTask, options?: unknown) => Promise<Response>
  /** Rejects with OFFSTAGE_BAD_OPTION where the routes are closed; else answers, whatever happens. */
  readonly fetch: ((request: Request) => Promise<Response>) & Mountable
}

/** The routes of runs, as one function from Request to Response. */
export function createHttp(parts: HttpParts): Http {
  const { settings, logger, random } = parts
  const surface: Surface = { ...parts, streams: new StreamPlaces(settings.limits), links: linksAt(settings.basePath) }
  const report = (error: unknown): string => {
    const id = random.runId()
    logger.error({ err: error, id }, 'A request could not be answered.')
    return id
  }
  const answer = async (request: Request, reply: Promise<Reply | Response>): Promise<Response> => {
    // A client that went away while its body was read is nobody's failure, and gets no answer.
    const given = await reply.catch((error: unknown) =>
      failure(error, request.signal.aborted && isAbort(error) ? () => '' : report),
    )
    return given instanceof Response ? given : responseTo(request.method, given)
  }
  const fetch = async (request: Request): Promise<Response> => {
    mustBeOpen(settings)
    return answer(request, routed(surface, request))
  }
  return {
    accept: async (request, task, given) => {
      mustBeOpen(settings)
      return answer(request, accepted(surface, request, { task, options: parseAccept(given) }))
    },
    fetch: Object.assign(fetch, { [MOUNT]: () => mustBeOpen(settings) }),
  }
}

async function routed(surface: Surface, request: Request): Promise<Reply | Response> {
  const { routes, id } = routesAt(surface.settings.basePath, new URL(request.url).pathname)
  if (routes.length === 0) return plain(404, 'There is nothing at this path.')
  const headers = { allow: allowOf(routes) }
  if (request.method === 'OPTIONS') return { status: 204, headers }
  const method = request.method === 'HEAD' ? 'GET' : request.method
  const route = routes.find((one) => one.method === method)
  if (route === undefined) return plain(405, `This path answers ${headers.allow}.`, headers)
  return crossSite(surface.settings, request) ?? (await enter(surface, request, { route, id }))
}

async function enter(
  surface: Surface,
  request: Request,
  { route, id }: { readonly route: Route; readonly id: RunId | undefined },
): Promise<Reply | Response> {
  const found = id === undefined ? undefined : await surface.runs.get(id)
  const admitted = await admit(surface, request, { route, found })
  if (admitted instanceof Response) return admitted
  if (found === undefined || admitted === 'unseen') return runNotFound(id, surface)
  if (admitted === 'view') return coded('OFFSTAGE_UNAUTHORIZED', 'You may read this run, but not do this with it.')
  return route.answer({ surface, request, found, rights: admitted })
}

/**
 * The caller's rights where they allow the route; `view`: only the run may be seen; `unseen`: not even that. As many questions are asked
 * for a run that is not there as for one that is somebody else's.
 */
async function admit(
  { settings }: Surface,
  request: Request,
  { route, found }: { readonly route: Route; readonly found: RunSnapshot | undefined },
): Promise<ReadonlySet<Right> | Response | 'view' | 'unseen'> {
  const run = found === undefined ? {} : { run: found.run }
  const rights = await rightsOf(settings, request, { action: route.action, right: route.right, ...run })
  if (rights instanceof Response || (found !== undefined && rights.has(route.right))) return rights
  if (rights.has('view')) return 'view'
  if (route.right === 'view') return 'unseen'
  const seen = await rightsOf(settings, request, { action: 'read', right: 'view', ...run })
  if (seen instanceof Response) return seen
  return seen.has('view') ? 'view' : 'unseen'
}

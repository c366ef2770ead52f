import type { RunId } from '../core/claim.ts'
import { TABLE, type RunVerb, type State } from '../core/run-state.ts'
import type { Action, Links, Right } from './contract.ts'
import { followRun } from './event-stream.ts'
import type { Call } from './parts.ts'
import type { Reply } from './reply.ts'
import { cancelRun, readRun } from './status.ts'

/** One way to a run. Its action and right are what `authorize` is asked. */
export interface Route {
  readonly method: 'GET' | 'POST'
  /** Below `basePath`. */
  readonly path: `/{id}${string}`
  readonly action: Action
  readonly right: Right
  /** Its name among a run's links … */
  readonly link: keyof Links
  /** … in states that allow this verb. */
  readonly verb?: RunVerb
  readonly answer: (call: Call) => Reply | Promise<Reply>
}

/** The whole surface beside `accept`. */
export const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/{id}', action: 'read', right: 'view', link: 'self', answer: readRun },
  { method: 'GET', path: '/{id}/events', action: 'read', right: 'view', link: 'events', answer: followRun },
  {
    method: 'POST',
    path: '/{id}/cancel',
    action: 'cancel',
    right: 'act',
    link: 'cancel',
    verb: 'cancel',
    answer: cancelRun,
  },
]

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** The routes of one path, none where it is not exactly one of ours; and the id in it, undefined where what stands there is none. */
export function routesAt(
  basePath: string,
  pathname: string,
): { readonly routes: readonly Route[]; readonly id: RunId | undefined } {
  const [id, ...rest] = pathname.startsWith(`${basePath}/`) ? pathname.slice(basePath.length + 1).split('/') : []
  const path = ['/{id}', ...rest].join('/')
  return {
    routes: id ? ROUTES.filter((route) => route.path === path) : [],
    id: id !== undefined && ID.test(id) ? id : undefined,
  }
}

/** What may be asked at a path: OPTIONS always, HEAD where GET is. */
export const allowOf = (routes: readonly Pick<Route, 'method'>[]): string =>
  [...routes.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method])), 'OPTIONS'].join(', ')

export const linksAt =
  (basePath: string) =>
  (id: RunId, state: State | undefined): Links => {
    const links = ROUTES.filter(
      ({ verb }) => verb === undefined || (state !== undefined && TABLE[state][verb] !== undefined),
    )
    return Object.fromEntries(
      links.map(({ link, path }) => [link, basePath + path.replace('{id}', id)]),
    ) as unknown as Links // the table names them all
  }

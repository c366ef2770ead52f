import { isObject } from '../core/options.ts'
import { readJson, tooLarge, wrongMedia } from './body.ts'
import { followRun } from './event-stream.ts'
import type { Call } from './parts.ts'
import { coded, invalidInput, plain, runNotFound } from './problem.ts'
import { json, type Reply } from './reply.ts'
import { retryAfter, runBody } from './run-body.ts'

/** The run as it is: 200 while there is a record, also when it failed. Or its event stream, so that `new EventSource(location)` just works. */
export function readRun(call: Call): Reply {
  const { surface, request, found, rights } = call
  const form = formOf(request.headers.get('accept'))
  if (form === 'events') return followRun(call)
  if (form === undefined) return plain(406, 'A run is told as application/json or as text/event-stream.')
  const { run, number } = found
  const etag = `"${number}"`
  const headers = { etag, ...(run.done ? {} : { 'retry-after': retryAfter(run, surface.clock.now()) }) }
  if (isKnown(request.headers.get('if-none-match'), etag)) return { status: 304, headers }
  return json(200, runBody(run, rights.has('payload'), surface.links(run.id, run.state)), headers)
}

/** Answers what is true: 200 canceled, 202 asked to stop, 409 ended otherwise. */
export async function cancelRun({ surface, request, found, rights }: Call): Promise<Reply> {
  const { runs, clock, settings, limits } = surface
  const { id } = found.run
  const most = settings.limits.body ?? limits.input
  const refusal = wrongMedia(request) ?? tooLarge(request, most)
  if (refusal !== undefined) return refusal
  const body = await readJson(request, { bytes: most, depth: limits.depth }, clock)
  if ('refusal' in body) return body.refusal
  const { value } = body
  const reason = isObject(value) ? value['reason'] : value
  if (reason !== undefined && (typeof reason !== 'string' || !isObject(value)))
    return invalidInput('The body may be left out, or give a reason as text. Nothing was done.', {
      errors: [isObject(value) ? NO_TEXT : NO_OBJECT],
    })

  const verdict = await runs.cancel(id, reason)
  const now = await runs.get(id)
  if (verdict === undefined || now === undefined) return runNotFound(id, surface)
  const { run } = now
  if (verdict === 'finished' && run.reason !== 'canceled')
    return coded('OFFSTAGE_RUN_FINISHED', `The run had ${run.state} before it could be canceled.`, {
      run: id,
      state: run.state,
    })
  const told = runBody(run, rights.has('payload'), surface.links(id, run.state))
  if (verdict !== 'canceling') return json(200, told)
  return json(202, told, { location: told.links.self, 'retry-after': retryAfter(run, clock.now()) })
}

const NO_TEXT = { pointer: '#/reason', detail: 'Expected a text.' }
const NO_OBJECT = { pointer: '#', detail: 'Expected an object.' }

/** What to tell it as. A stream that is named counts for more than JSON by a wildcard; undefined: neither is wanted. */
function formOf(accept: string | null): 'json' | 'events' | undefined {
  if (!accept) return 'json'
  const ranges = accept.toLowerCase().split(',').map(rangeOf)
  const best = (...types: readonly string[]) =>
    types.map((type) => ranges.find((range) => range.type === type)).find((range) => range !== undefined)
  const json = best('application/json', 'application/*', '*/*')
  const events = best('text/event-stream', 'text/*')
  const [forJson, forEvents] = [json?.quality ?? 0, events?.quality ?? 0]
  if (
    forEvents > forJson ||
    (forEvents > 0 &&
      forEvents === forJson &&
      json?.type !== 'application/json' &&
      events?.type === 'text/event-stream')
  )
    return 'events'
  return forJson > 0 ? 'json' : undefined
}

function rangeOf(range: string): { readonly type: string; readonly quality: number } {
  const [type = '', ...parameters] = range.split(';').map((part) => part.trim())
  const quality = parameters.find((parameter) => parameter.startsWith('q='))
  return { type, quality: quality === undefined ? 1 : Number(quality.slice(2)) }
}

/** A weak comparison: a middleware that makes the tag weak does no harm. */
const isKnown = (known: string | null, etag: string): boolean =>
  known !== null && known.split(',').some((tag) => ['*', etag, `W/${etag}`].includes(tag.trim()))

import type { Clock } from '../core/clock.ts'
import { optional, refuse, shape, text, whole, oneOf, type Parser } from '../core/options.ts'
import type { Run, RunDetails } from '../core/run.ts'
import type { RunEvent } from '../core/run-events.ts'
import { STATES } from '../core/run-state.ts'
import type { ListOptions, Page, RunFilter, Runs, Tally } from '../core/runs.ts'
import type { Cancellation } from '../core/start.ts'
import type { Channels, OffstageEvents } from './channels.ts'
import { notFound } from './handle.ts'

/** `offstage.runs`: the runs of this store, and of this process's memory. */
export interface OffstageRuns {
  get(id: string): Promise<Run | undefined>
  /** With its input, attempts, steps and logged lines. What the task's `redact` names is shown as '[redacted]'; all of it where the task is not registered here. */
  details(id: string): Promise<RunDetails | undefined>
  /** Newest first, by id: to the millisecond of their start. */
  list(options?: ListOptions): Promise<Page<Run>>
  tally(filter?: RunFilter): Promise<Tally>
  /** As the handle's `cancel`. Rejects with OFFSTAGE_RUN_NOT_FOUND. */
  cancel(id: string, reason?: string): Promise<Cancellation>
  /**
   * A run that failed or was canceled waits again, due now: the same id and finished steps, its tries counted anew. Rejects with
   * OFFSTAGE_RUN_NOT_FOUND, OFFSTAGE_RUN_NOT_FINISHED, OFFSTAGE_RUN_FINISHED where it succeeded, OFFSTAGE_NOT_DURABLE.
   */
  rerun(id: string): Promise<Run>
  /** Forgets an ended run; false: there is none of that id. Rejects with OFFSTAGE_RUN_NOT_FINISHED. */
  remove(id: string): Promise<boolean>
  /** A snapshot first, then every kept event after number `after`, then live ones, until its end. Ends at once where there is no such run. */
  watch(id: string, options?: { readonly after?: number; readonly signal?: AbortSignal }): AsyncIterable<RunEvent>
}

export interface OperateParts {
  readonly runs: Runs
  readonly channels: Channels
  readonly clock: Clock
}

/** What an operator may ask and do, over whatever keeps runs. What he changed is told as `audit`. */
export function operate({ runs, channels, clock }: OperateParts): OffstageRuns {
  const audit = (action: OffstageEvents['audit']['action'], run: string): void =>
    channels.tell('audit', () => ({ action, run, at: new Date(clock.now()) }))
  return Object.freeze({
    get: async (id: string) => (await runs.get(text(id, 'runs.get(id)')))?.run,
    details: async (id: string) => runs.details(text(id, 'runs.details(id)')),
    list: async (options?: ListOptions) => listed(runs, options),
    tally: async (filter?: RunFilter) => {
      const counts = await runs.tally(filterOf(parseFilter(filter ?? {}, 'runs.tally')))
      return { ...counts, total: Object.values(counts).reduce((sum, count) => sum + count, 0) }
    },
    cancel: async (id: string, reason?: string) => {
      const answer =
        (await runs.cancel(text(id, 'runs.cancel(id)'), said(reason, 'runs.cancel.reason'))) ?? notFound(id)
      if (answer !== 'finished') audit('cancel', id)
      return answer
    },
    rerun: async (id: string) => {
      const run = (await runs.rerun(text(id, 'runs.rerun(id)'))) ?? notFound(id)
      audit('rerun', id)
      return run
    },
    remove: async (id: string) => {
      const isRemoved = (await runs.remove(text(id, 'runs.remove(id)'))) ?? false
      if (isRemoved) audit('remove', id)
      return isRemoved
    },
    watch: (id: string, options?: { readonly after?: number; readonly signal?: AbortSignal }) =>
      runs.watch(text(id, 'runs.watch(id)'), definedOf(parseWatch(options ?? {}, 'runs.watch'))),
  })
}

const name = optional(text, undefined)
const FILTER = {
  task: name,
  state: optional(oneOf(...STATES), undefined),
  queue: name,
  owner: name,
  tag: name,
  parent: name,
}
const parseFilter = shape(FILTER)
const parseList = shape({ ...FILTER, limit: optional(whole(1, 1_000), 50), cursor: name })
const said: Parser<string | undefined> = optional(
  (value, at) => (typeof value === 'string' ? value : refuse(at, 'a text', value)),
  undefined,
)
const signal: Parser<AbortSignal> = (value, at) =>
  value instanceof AbortSignal ? value : refuse(at, 'an AbortSignal', value)
const parseWatch = shape({ after: optional(whole(0), undefined), signal: optional(signal, undefined) })

async function listed(runs: Runs, options: unknown): Promise<Page<Run>> {
  const { limit, cursor, ...filter } = parseList(options ?? {}, 'runs.list')
  // One more than asked for tells whether there are more.
  const found = await runs.list({ filter: filterOf(filter), before: cursor ?? null, limit: limit + 1 })
  const page = found.slice(0, limit)
  return { runs: page, nextCursor: found.length > limit ? (page.at(-1)?.id ?? null) : null }
}

const filterOf: (parsed: ReturnType<typeof parseFilter>) => RunFilter = definedOf

/** Without what was left out. */
function definedOf<T extends object>(parsed: T): Defined<T> {
  const entries = Object.entries(parsed).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as Defined<T> // fromEntries forgets which key had which value
}

type Defined<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> }

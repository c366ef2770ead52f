import type { Json } from '../../src/core/json.ts'
import type { RunEvent } from '../../src/core/run-events.ts'
import type { Run, RunDetails, RunSnapshot } from '../../src/core/run.ts'
import type { RunEnd, Runs } from '../../src/core/runs.ts'
import type { Cancellation } from '../../src/core/start.ts'

interface Kept {
  run: Run
  number: number
  /** Where a stream begins that names no position. */
  begin: number | undefined
  readonly events: RunEvent[]
  readonly waiting: Set<() => void>
}

/** Runs as a table, changed by the tests themselves. */
export class FakeRuns implements Runs {
  readonly #kept = new Map<string, Kept>()
  /** Watches under way. */
  watching = 0
  /** What `get` throws, while it is set. */
  broken: Error | undefined
  lookups = 0
  verdict: Cancellation | undefined

  put(run: Run, number: number, begin?: number): void {
    this.#kept.set(run.id, { run, number, begin, events: [], waiting: new Set() })
  }

  /** A change of the run, or a stored event: takes the next number. */
  tell(
    id: string,
    event: {
      readonly progress?: Run['progress']
      readonly output?: Json
      readonly change?: Partial<Run>
      readonly reset?: number
    },
  ): void {
    const kept = this.#of(id)
    const number = ++kept.number
    kept.run = { ...kept.run, ...event.change, ...(event.progress === undefined ? {} : { progress: event.progress }) }
    if (event.progress) kept.events.push({ number, type: 'progress', data: event.progress })
    else if (event.output !== undefined) kept.events.push({ number, type: 'output', data: event.output })
    else if (event.reset !== undefined) kept.events.push({ number, type: 'reset', data: { after: event.reset } })
    else kept.events.push({ number, type: kept.run.done ? 'done' : 'run', data: kept.run })
    for (const wake of kept.waiting) wake()
  }

  forget(id: string): void {
    this.#kept.delete(id)
  }

  async get(id: string): Promise<RunSnapshot | undefined> {
    this.lookups++
    if (this.broken !== undefined) throw this.broken
    const kept = this.#kept.get(id)
    return kept && { run: kept.run, number: kept.number }
  }

  async cancel(id: string, reason?: string): Promise<Cancellation | undefined> {
    const kept = this.#kept.get(id)
    if (kept === undefined) return undefined
    this.reasons.push(reason)
    if (kept.run.done) return 'finished'
    const finishedAt = new Date(Date.UTC(2026, 10, 22, 23, 30, 40, 377))
    if (kept.run.state === 'running') this.tell(id, { change: { cancelRequested: true } })
    else
      this.tell(id, {
        change: {
          state: 'canceled',
          done: true,
          reason: 'canceled',
          cancelRequested: true,
          finishedAt,
          expiresAt: new Date(finishedAt.getTime() + 14 * 86_400_000),
          error: {
            name: 'CanceledError',
            message: 'The run was canceled: a secret of its canceler',
            code: 'OFFSTAGE_CANCELED',
          },
        },
      })
    return kept.run.done ? 'canceled' : 'canceling'
  }
  readonly reasons: (string | undefined)[] = []

  ended(): Promise<RunEnd | undefined> {
    return unused()
  }
  details(): Promise<RunDetails | undefined> {
    return unused()
  }
  list(): Promise<readonly Run[]> {
    return unused()
  }
  tally(): Promise<never> {
    return unused()
  }
  rerun(): Promise<Run | undefined> {
    return unused()
  }
  remove(): Promise<boolean | undefined> {
    return unused()
  }
  signal(): Promise<true | undefined> {
    return unused()
  }

  async *watch(
    id: string,
    { after, signal }: { readonly after?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<RunEvent, void, undefined> {
    const kept = this.#kept.get(id)
    if (kept === undefined) return
    this.watching++
    try {
      let position = after ?? kept.begin ?? kept.number
      yield { number: position, type: 'run', data: kept.run }
      while (!signal?.aborted) {
        const next = kept.events.find(({ number }) => number > position)
        if (next === undefined && kept.run.done) return yield { number: kept.number, type: 'done', data: kept.run }
        if (next === undefined) await this.#change(kept, signal)
        else {
          position = next.number
          yield next
          if (next.type === 'done') return
        }
      }
    } finally {
      this.watching--
    }
  }

  #change({ waiting }: Kept, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        waiting.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      waiting.add(wake)
      signal?.addEventListener('abort', wake)
    })
  }

  #of(id: string): Kept {
    const kept = this.#kept.get(id)
    if (kept === undefined) throw new Error(`The test has no run ${id}.`)
    return kept
  }
}

function unused(): never {
  throw new Error('HTTP has no use for it.')
}

const CREATED = Date.UTC(2026, 10, 22, 23, 22, 20, 686)

/** The run of the transcripts, waiting, with what the test has otherwise. */
export const aRun = (more: Partial<Run> = {}): Run => ({
  id: '01a20591-568e-7910-9286-c16a66a51fae',
  task: 'report',
  version: 1,
  durable: true,
  thread: false,
  state: 'waiting',
  done: false,
  attempt: 0,
  tries: 0,
  maxAttempts: 10,
  reason: null,
  queue: 'default',
  priority: 0,
  createdAt: new Date(CREATED),
  dueAt: new Date(CREATED),
  startedAt: null,
  finishedAt: null,
  expiresAt: null,
  waitingFor: null,
  progress: null,
  cancelRequested: false,
  owner: 'user-42',
  tags: [],
  instance: null,
  parent: null,
  schedule: null,
  ...more,
})

export const running: Partial<Run> = {
  state: 'running',
  attempt: 1,
  tries: 1,
  startedAt: new Date(CREATED + 5),
  instance: '9f2c4be81d7a4e05a6c3f10d72b85e94',
}
export const succeeded: Partial<Run> = {
  ...running,
  state: 'succeeded',
  done: true,
  instance: null,
  finishedAt: new Date(CREATED + 5_216),
  expiresAt: new Date(CREATED + 5_216 + 86_400_000),
}

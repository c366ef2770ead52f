import type { CloseReport, Offstage, OffstageOptions } from './api.ts'
import type { Duration } from './core/duration.ts'
import { OffstageError } from './core/errors.ts'
import type { RunHandle, StartArgs, StartOptions, Transaction } from './core/start.ts'
import type { Task } from './core/task.ts'
import { safely } from './core/thrown.ts'
import { afterRequest } from './detached/after.ts'
import { Engine } from './engine.ts'
import type { AcceptOptions } from './http/contract.ts'
import { parseHttp } from './http/access.ts'
import { createHttp } from './http/handler.ts'
import { Channels, type OffstageEvents } from './runtime/channels.ts'
import { planWith, planWithin } from './runtime/drain.ts'
import { drainAtExit } from './runtime/exit-signals.ts'
import { notFound } from './runtime/handle.ts'
import { operate } from './runtime/operate.ts'
import { parseDeadline, parseSettings, type Settings } from './runtime/settings.ts'
import { watchStrayFailures } from './runtime/stray-failures.ts'
import { realClock as clock, realRandom as random } from './runtime/world.ts'
import { logAbandoned, logLines } from './telemetry/log-lines.ts'

/** How long `drain` goes on where nothing was said. */
const DRAIN = 10_000

/** Puts the parts together and opens nothing that is not needed. Throws OFFSTAGE_BAD_OPTION for an option that is not valid. */
export function createOffstage(options: OffstageOptions = {}): Offstage {
  const settings = parseSettings(options)
  const { logger } = settings
  const channels = new Channels((error) => logger.error({ err: error }, 'A listener threw.'))
  const engine = new Engine(settings, channels)
  const closing = new AbortController()
  const http = httpOf(engine, settings, closing.signal)
  logLines(channels, logger, clock)

  const close = closeOf(engine, closing, settings)
  const begun = engine.begin()
  // Who does not await `ready` hears of it so.
  begun.catch((error: unknown) => {
    if (isOfStore(error)) channels.tell('store:unavailable', () => ({ error }))
    else safely(() => logger.error({ err: error }, 'Offstage could not start.'))
  })

  return Object.freeze({
    ...startsOf(engine),
    accept: <I, O>(request: Request, task: Task<I, O>, acceptOptions?: AcceptOptions<NoInfer<I>>): Promise<Response> =>
      http.accept(request, task, acceptOptions),
    fetch: http.fetch,
    on: <E extends keyof OffstageEvents>(event: E, listener: (event: OffstageEvents[E]) => void): (() => void) =>
      channels.on(event, listener),
    get ready() {
      return begun.then(() => engine.ready())
    },
    runs: operate({ runs: engine.runs, channels, clock }),
    drain: async (drainOptions?: { readonly deadline?: Duration }) =>
      engine.drain(parseDeadline(drainOptions, 'drain', DRAIN)),
    close,
    [Symbol.asyncDispose]: async () => {
      await close()
    },
  })
}

function httpOf(engine: Engine, settings: Settings, shutdown: AbortSignal): ReturnType<typeof createHttp> {
  const { limits, logger, retention } = settings
  return createHttp({
    settings: parseHttp(settings.http, 'http'),
    limits,
    kept: Math.min(retention.succeeded, retention.failed, retention.canceled),
    runs: engine.runs,
    submit: (task, input, options) => engine.start({ task, input, options }),
    clock,
    random,
    logger,
    shutdown,
  })
}

const isOfStore = (error: unknown): boolean => error instanceof OffstageError && error.code.startsWith('OFFSTAGE_STORE')

/** Also at a signal, where the application does not keep its signals for itself. Closing twice is closing once. */
function closeOf(engine: Engine, closing: AbortController, { shutdown, logger }: Settings): Offstage['close'] {
  let closed: Promise<CloseReport> | undefined
  let hasEnded = false
  const close: Offstage['close'] = (options) => {
    const deadline = parseDeadline(options, 'close', null)
    const plan = deadline === null ? planWith(shutdown.grace) : planWithin(deadline)
    // Event streams go on until there is nothing left to tell.
    closed ??= engine
      .close(plan, () => closing.abort())
      .then(({ abandoned, ended }) => {
        hasEnded = ended
        safely(() => logAbandoned(abandoned, logger)) // a logger that throws must not keep the process from ending
        // Code that was abandoned may still let a failure go.
        if (abandoned.length === 0) strays[Symbol.dispose]()
        exit?.[Symbol.dispose]()
        return { abandoned }
      })
    return closed
  }
  const strays = watchStrayFailures()
  const exit = shutdown.signals ? drainAtExit(() => close().then(() => hasEnded)) : undefined
  return close
}

type Starts = Pick<Offstage, 'start' | 'execute' | 'startMany' | 'startSync' | 'after' | 'handle' | 'signal'>

function startsOf(engine: Engine): Starts {
  const start = async <I, O>(task: Task<I, O>, ...[input, options]: StartArgs<NoInfer<I>>): Promise<RunHandle<O>> =>
    engine.handle<O>(task, await engine.start({ task, input, options }))
  return {
    start,
    execute: async (task, ...args) => (await start(task, ...args)).result(),
    startMany: async <I, O>(task: Task<I, O>, inputs: readonly NoInfer<I>[], options?: StartOptions) =>
      (await engine.startMany({ task, inputs, options })).map((started) => engine.handle<O>(task, started)),
    startSync: <I, O>(task: Task<I, O>, input: NoInfer<I>, options: StartOptions & { tx: Transaction }) =>
      engine.handle<O>(task, engine.startWithin({ task, input, options })),
    after: (fn, options) => {
      const { request, sent } = afterRequest(fn, options)
      return engine.handle<void>(request.task, engine.startDetached(request, sent))
    },
    handle: <O>(task: Task<never, O>, id: string) => engine.handle<O>(task, { id, disposition: 'existing' }),
    signal: async (run, name, payload) => {
      if ((await engine.runs.signal(run, name, payload)) === undefined) notFound(run)
    },
  }
}

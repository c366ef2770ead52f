import type { CloseReport, Offstage, OffstageOptions } from './api.ts'
import { OffstageError } from './core/errors.ts'
import { notBuilt } from './core/options.ts'
import type { RunHandle, StartArgs, StartOptions } from './core/start.ts'
import type { Task } from './core/task.ts'
import { afterRequest } from './detached/after.ts'
import { Engine } from './engine.ts'
import type { AcceptOptions } from './http/contract.ts'
import { parseHttp } from './http/access.ts'
import { createHttp } from './http/handler.ts'
import { Channels, type OffstageEvents } from './runtime/channels.ts'
import { drainAtExit } from './runtime/exit-signals.ts'
import { parseDeadline, parseSettings, type Settings } from './runtime/settings.ts'
import { watchStrayFailures } from './runtime/stray-failures.ts'
import { realClock as clock, realRandom as random } from './runtime/world.ts'
import { logLines } from './telemetry/log-lines.ts'

/** After the grace: for what was aborted to stop and be recorded, and for closing. */
const LAST_WORDS = 1_500

/** Puts the parts together and opens nothing that is not needed. Throws OFFSTAGE_BAD_OPTION for an option that is not valid. */
export function createOffstage(options: OffstageOptions = {}): Offstage {
  const settings = parseSettings(options)
  const { logger, shutdown } = settings
  const channels = new Channels((error) => logger.error({ err: error }, 'A listener threw.'))
  const engine = new Engine(settings, channels)
  const closing = new AbortController()
  const http = createHttp({
    settings: parseHttp(settings.http, 'http'),
    limits: settings.limits,
    runs: engine.runs,
    submit: (task, input, startOptions) => engine.start({ task, input, options: startOptions }),
    clock,
    random,
    logger,
    shutdown: closing.signal,
  })
  logLines(channels, logger)

  const close = closeOf(engine, closing, shutdown)
  const ready = engine.ready()
  // Who does not await `ready` hears of it so.
  ready.catch((error: unknown) => {
    if (isOfStore(error)) channels.tell('store:unavailable', () => ({ error }))
    else logger.error({ err: error }, 'Offstage could not start.')
  })

  return Object.freeze({
    ...startsOf(engine),
    accept: <I, O>(request: Request, task: Task<I, O>, acceptOptions?: AcceptOptions<NoInfer<I>>): Promise<Response> =>
      http.accept(request, task, acceptOptions),
    fetch: http.fetch,
    on: <E extends keyof OffstageEvents>(event: E, listener: (event: OffstageEvents[E]) => void): (() => void) =>
      channels.on(event, listener),
    ready,
    close,
    [Symbol.asyncDispose]: async () => {
      await close()
    },
  })
}

const isOfStore = (error: unknown): boolean => error instanceof OffstageError && error.code.startsWith('OFFSTAGE_STORE')

/** Also at a signal, where the application does not keep its signals for itself. Closing twice is closing once. */
function closeOf(engine: Engine, closing: AbortController, shutdown: Settings['shutdown']): Offstage['close'] {
  let closed: Promise<CloseReport> | undefined
  const close: Offstage['close'] = (options) => {
    const deadline = parseDeadline(options, shutdown.grace + LAST_WORDS)
    // Event streams go on until there is nothing left to tell.
    closed ??= engine
      .close(deadline, () => closing.abort())
      .then((abandoned) => {
        // Code that was abandoned may still let a failure go.
        if (abandoned.length === 0) strays[Symbol.dispose]()
        exit?.[Symbol.dispose]()
        return { abandoned }
      })
    return closed
  }
  const strays = watchStrayFailures()
  const exit = shutdown.signals ? drainAtExit(() => close()) : undefined
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
    startSync: () => notBuilt('startSync'),
    after: (fn, options) => {
      const { request, sent } = afterRequest(fn, options)
      return engine.handle<void>(request.task, engine.startDetached(request, sent))
    },
    handle: <O>(task: Task<never, O>, id: string) => engine.handle<O>(task, { id, disposition: 'existing' }),
    signal: async () => notBuilt('signal'),
  }
}

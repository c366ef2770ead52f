import type { Offstage, OffstageOptions } from './api.ts'
import type { JsonOf } from './core/json.ts'
import { notBuilt } from './core/options.ts'
import type { RunHandle, StartArgs, StartOptions } from './core/start.ts'
import type { Task } from './core/task.ts'
import { afterRequest, type AfterFunction, type AfterOptions } from './detached/after.ts'
import { Engine } from './engine.ts'
import type { AcceptOptions } from './http/contract.ts'
import { parseHttp } from './http/access.ts'
import { createHttp } from './http/handler.ts'
import { Channels, type OffstageEvents } from './runtime/channels.ts'
import { drainAtExit } from './runtime/exit-signals.ts'
import { parseDeadline, parseSettings } from './runtime/settings.ts'
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

  const start = async <I, O>(
    task: Task<I, O>,
    ...[input, startOptions]: StartArgs<NoInfer<I>>
  ): Promise<RunHandle<O>> => engine.handle<O>(task, await engine.start({ task, input, options: startOptions }))

  let closed: ReturnType<Offstage['close']> | undefined
  const close: Offstage['close'] = (closeOptions) => {
    const deadline = parseDeadline(closeOptions, shutdown.grace + LAST_WORDS)
    closing.abort()
    closed ??= engine.close(deadline).then((abandoned) => ({ abandoned }))
    return closed.finally(() => {
      strays[Symbol.dispose]()
      exit?.[Symbol.dispose]()
    })
  }
  const strays = watchStrayFailures()
  const exit = shutdown.signals ? drainAtExit(() => close()) : undefined
  const ready = engine.ready()
  ready.catch((error: unknown) => channels.tell('store:unavailable', () => ({ error }))) // who does not await `ready` hears of it so

  return Object.freeze({
    start,
    execute: async <I, O>(task: Task<I, O>, ...args: StartArgs<NoInfer<I>>): Promise<O> =>
      (await start(task, ...args)).result(),
    startMany: async <I, O>(
      task: Task<I, O>,
      inputs: readonly NoInfer<I>[],
      startOptions?: StartOptions,
    ): Promise<RunHandle<O>[]> =>
      (await engine.startMany({ task, inputs, options: startOptions })).map((started) =>
        engine.handle<O>(task, started),
      ),
    startSync: <I, O>(_task: Task<I, O>): RunHandle<O> => notBuilt('startSync'),
    after: (fn: AfterFunction, afterOptions?: AfterOptions): RunHandle<void> => {
      const { request, sent } = afterRequest(fn, afterOptions)
      return engine.handle<void>(request.task, engine.startDetached(request, sent))
    },
    handle: <O>(task: Task<never, O>, id: string): RunHandle<O> =>
      engine.handle<O>(task, { id, disposition: 'existing' }),
    signal: async <T>(_runId: string, _name: string, _payload?: JsonOf<T>): Promise<void> => notBuilt('signal'),
    accept: <I, O>(request: Request, task: Task<I, O>, acceptOptions?: AcceptOptions<NoInfer<I>>): Promise<Response> =>
      http.accept(request, task, acceptOptions),
    fetch: http.fetch,
    on: <E extends keyof OffstageEvents>(event: E, listener: (event: OffstageEvents[E]) => void): (() => void) =>
      channels.on(event, listener),
    ready,
    close,
    [Symbol.asyncDispose]: async () => void (await close()),
  })
}

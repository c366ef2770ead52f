import { fork, type ChildProcess } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Commands } from '../fixtures/instance.ts'
import { check, defects, type Verdict } from './checker.ts'
import { Journal, monotonic, only, type Line } from './journal.ts'
import type { Setup } from './setup.ts'
import { Yardstick } from './yardstick.ts'
import { storedRuns, unended, type StoredRun } from './store.ts'

type Wanted = Partial<Omit<Setup, 'database'>> & {
  readonly node?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly at: number
}
/** What a command rejects with here, of what it was rejected with there. */
export interface Refusal {
  readonly name: string
  readonly code: string | undefined
  readonly message: string
}

/** No process of a storm outlives that. */
const LONGEST = 20 * 60_000

/** A process with one Offstage: plain Node on the built package, as a user runs it. */
export class Instance {
  readonly pid: number
  /** Of HTTP, once it is ready. */
  port = 0
  readonly exited: Promise<Ended>
  readonly ready: Promise<void>
  isOver = false
  readonly #process: ChildProcess
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>()
  #number = 0

  constructor(process_: ChildProcess) {
    this.#process = process_
    this.pid = process_.pid!
    const { promise, resolve } = Promise.withResolvers<void>()
    this.exited = new Promise((ended) =>
      process_.once('exit', (code, signal) => {
        this.isOver = true
        ended({ code, signal, at: monotonic() })
        for (const { reject } of this.#asked.values()) reject(new Error(`the instance ${this.pid} has ended`))
      }),
    )
    this.ready = Promise.race([
      promise,
      this.exited.then(({ code }) => Promise.reject(new Error(`the instance ended with ${code} before it was ready`))),
    ])
    this.ready.catch(() => undefined) // who awaits it hears of it
    process_.on('message', (message: Message) => {
      if ('port' in message) {
        this.port = message.port
        resolve()
      } else if ('refused' in message) this.#asked.get(message.number)?.reject(refusal(message.refused))
      else this.#asked.get(message.number)?.resolve(message.answer)
    })
  }

  ask<K extends keyof Commands>(
    command: K,
    ...args: Parameters<Commands[K]>
  ): Promise<Awaited<ReturnType<Commands[K]>>> {
    const number = ++this.#number
    const asked = Promise.withResolvers<unknown>()
    this.#asked.set(number, asked)
    if (this.isOver || !this.#process.connected) return Promise.reject(new Error(`the instance ${this.pid} has ended`))
    this.#process.send({ number, command, args }, (error) => error && asked.reject(error))
    return asked.promise as Promise<Awaited<ReturnType<Commands[K]>>> // the command's own answer
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name)
  }

  /** Every one of its threads stands when this resolves. */
  async stop(): Promise<void> {
    this.signal('SIGSTOP')
    while (!this.isOver && !allStopped(this.pid)) await sleep(1)
  }

  resume(): void {
    this.signal('SIGCONT')
  }
}
type Message =
  | { readonly port: number }
  | { readonly number: number; readonly answer: unknown }
  | { readonly number: number; readonly refused: Refusal }

const refusal = ({ name, code, message }: Refusal): Error & Refusal =>
  Object.assign(new Error(message), { name, code, message })

function allStopped(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) =>
      /\) [TtZX] /.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')),
    )
  } catch {
    return false // it ends just now, or one of its threads
  }
}

const INSTANCE = new URL('../fixtures/instance.ts', import.meta.url)

/** The processes of one storm on one file, their journal, and its judge. Gone with the storm. */
export class Fleet implements AsyncDisposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'offstage-storm-'))
  readonly database: string = join(this.folder, 'runs.db')
  readonly journal: Journal = new Journal(join(this.folder, 'journal'))
  /** What Node itself says of a process that dies. */
  readonly #stderr: number = openSync(join(this.folder, 'stderr'), 'a')
  readonly #yardstick = new Yardstick()
  readonly #instances = new Set<Instance>()
  readonly #end = (): void => {
    for (const instance of this.#instances) instance.signal('SIGKILL')
  }

  constructor() {
    process.once('exit', this.#end)
  }

  /** Resolves when it is ready: its store is open and its worker claims. */
  async start(wanted: Wanted = {}): Promise<Instance> {
    const instance = this.launch(wanted)
    try {
      await instance.ready
    } catch (error) {
      throw new Error(this.stderr(), { cause: error })
    }
    return instance
  }

  launch({ node = [], env = {}, ...wanted }: Wanted = {}): Instance {
    const setup: Setup = {
      tasks: 'tasks',
      options: {},
      http: false,
      listens: false,
      ...wanted,
      database: this.database,
    }
    const instance = new Instance(
      fork(INSTANCE, {
        execArgv: [...node],
        env: {
          ...process.env,
          ...env,
          STORM_SETUP: JSON.stringify(setup),
          STORM_JOURNAL: this.journal.path,
          // A process begins in a third of the time where what it loads was compiled before.
          NODE_COMPILE_CACHE: join(tmpdir(), 'offstage-compile-cache'),
        },
        stdio: ['ignore', 'ignore', this.#stderr, 'ipc'],
        timeout: LONGEST,
        killSignal: 'SIGKILL',
      }),
    )
    this.#instances.add(instance)
    void instance.exited.then(() => this.#instances.delete(instance))
    return instance
  }

  /** `kill -9`, and what it held at that moment is written down: it stands while the store is asked. Answers when it was killed. */
  async kill(instance: Instance): Promise<number> {
    await instance.stop()
    const held = storedRuns(this.database, { pid: instance.pid }).map(({ id }) => id)
    this.journal.write({ what: 'killed', victim: instance.pid, held })
    const at = only(this.lines(), 'killed').findLast(({ victim }) => victim === instance.pid)!.at
    instance.signal('SIGKILL')
    await instance.exited
    return at
  }

  /** It ended by its own code: what it had begun and not told the end of is written down. */
  async died(instance: Instance): Promise<Ended> {
    const ended = await instance.exited
    const mine = this.lines().filter(({ pid }) => pid === instance.pid)
    const settled = new Set(only(mine, 'settled').map(({ run }) => run))
    const held = new Set(only(mine, 'begin').map(({ run }) => run)).difference(settled)
    this.journal.write({ what: 'killed', victim: instance.pid, held: [...held] })
    return ended
  }

  /** A bound of time, as this machine is now; `slowness` is 1 where the storm has it for itself. */
  bound(ms: number): number {
    return ms * this.slowness
  }

  /** What must come is waited for somewhat longer there; for what never comes, not too long. */
  #patience(ms: number): number {
    return ms * Math.min(this.slowness, 3)
  }

  get slowness(): number {
    return this.#yardstick.slowness
  }

  lines(): readonly Line[] {
    return this.journal.lines()
  }

  runs(): readonly StoredRun[] {
    return storedRuns(this.database)
  }

  run(id: string): StoredRun | undefined {
    return this.runs().find((run) => run.id === id)
  }

  /** The first such line, of the past or of the future. */
  async seen(which: (line: Line) => boolean, within = 10_000): Promise<Line> {
    return until(() => this.lines().find(which), this.#patience(within), `a line of the journal, ${String(which)},`)
  }

  async begun(run: string, attempt = 1, within = 10_000): Promise<Line> {
    return this.seen((line) => line.what === 'begin' && line.run === run && line.attempt === attempt, within)
  }

  /** No run waits or runs any more; answers when that was seen. */
  async quiet(within: number): Promise<number> {
    await until(() => unended(this.database) === 0, this.#patience(within), 'the end of every run')
    return monotonic()
  }

  judged(): { readonly verdict: Verdict; readonly found: readonly string[] } {
    const verdict = check({ lines: this.lines(), runs: this.runs() })
    return { verdict, found: defects(verdict) }
  }

  /** What all of them said there. */
  stderr(): string {
    return readFileSync(join(this.folder, 'stderr'), 'utf8')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const left = [...this.#instances]
    this.#end()
    await Promise.all(left.map(({ exited }) => exited))
    process.off('exit', this.#end)
    this.journal[Symbol.dispose]()
    closeSync(this.#stderr)
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

/** What the question answers, once it does. */
export async function until<T>(ask: () => T | undefined | false, within: number, what: string): Promise<T> {
  const deadline = performance.now() + within
  while (true) {
    const answer = ask()
    if (answer !== undefined && answer !== false) return answer
    if (performance.now() > deadline) throw new Error(`${what} did not come within ${within} ms`)
    await sleep(20)
  }
}

import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

export interface ServerOptions {
  readonly env: Readonly<Record<string, string>>
  /** Of Node itself. */
  readonly flags?: readonly string[]
  /** A line of what it says on stderr. */
  readonly said?: (line: string) => void
}

type Child = ChildProcessByStdio<null, Readable, Readable>

/** A server in a process of its own, so that it can be killed. It reads PORT, and its first line says where it listens. */
export class ServerProcess implements AsyncDisposable {
  readonly url: URL
  readonly #script: URL
  readonly #options: ServerOptions
  #child: Child

  /** Answers once it listens, on a free port. */
  static async start(script: URL, options: ServerOptions): Promise<ServerProcess> {
    const [child, url] = await begin(script, options, '0')
    return new ServerProcess(script, options, { child, url })
  }

  private constructor(script: URL, options: ServerOptions, begun: { readonly child: Child; readonly url: URL }) {
    this.#script = script
    this.#options = options
    this.#child = begun.child
    this.url = begun.url
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** kill -9: nothing of it gets a chance to tidy up. */
  async kill(): Promise<void> {
    await end(this.#child, 'SIGKILL')
  }

  /** On the same port. */
  async startAgain(): Promise<void> {
    ;[this.#child] = await begin(this.#script, this.#options, this.url.port)
  }

  /** As a deploy would: it may finish what it is at, but not for long. */
  async [Symbol.asyncDispose](): Promise<void> {
    const patience = setTimeout(() => this.#child.kill('SIGKILL'), 2_000)
    await end(this.#child, 'SIGTERM')
    clearTimeout(patience)
  }
}

async function begin(
  script: URL,
  { env, flags = [], said = console.error }: ServerOptions,
  port: string,
): Promise<[Child, URL]> {
  const child = spawn(process.execPath, [...flags, fileURLToPath(script)], {
    env: { ...process.env, ...env, PORT: port },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  createInterface({ input: child.stderr }).on('line', said)
  const stdout = createInterface({ input: child.stdout })
  const [first] = (await Promise.race([once(stdout, 'line'), once(child, 'exit')])) as [unknown]
  if (typeof first !== 'string') throw new Error(`The server ended with exit code ${String(first)} before it listened.`)
  return [child, new URL(first)]
}

async function end(child: Child, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await once(child, 'exit')
}

import { spawn, type ChildProcess } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Lines of stdout that are JSON, parsed. */
  readonly said: readonly unknown[]
  readonly stderr: string
}
export interface Child {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  /** Settles when the child has printed that line of JSON. */
  heard(line: unknown): Promise<void>
}

/** No child outlives that. */
const LONGEST = 20_000

/** A process of its own that means src/ by `offstage`, as this one does. */
export function child(
  script: URL,
  options: { readonly args?: readonly string[]; readonly node?: readonly string[] } = {},
): Child {
  const { args = [], node = [] } = options
  const child_ = spawn(process.execPath, [...process.execArgv, ...node, script.pathname, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A child begins in a quarter of the time where what it loads was compiled before.
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'offstage-compile-cache') },
    timeout: LONGEST,
    killSignal: 'SIGKILL',
  })
  const said: unknown[] = []
  const waiting = new Map<string, () => void>()
  let rest = ''
  let stderr = ''
  child_.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      said.push(JSON.parse(line))
      waiting.get(line)?.()
    }
  })
  child_.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const end = (): void => void child_.kill('SIGKILL')
  process.once('exit', end)
  const ended = new Promise<Ended>((resolve) =>
    child_.on('close', (code, signal) => {
      process.off('exit', end)
      resolve({ code, signal, said, stderr })
    }),
  )
  const heard = async (line: unknown): Promise<void> => {
    const text = JSON.stringify(line)
    if (said.some((one) => JSON.stringify(one) === text)) return
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.set(text, resolve)
    await Promise.race([promise, ended.then((end) => Promise.reject(new Error(`ended first: ${JSON.stringify(end)}`)))])
  }
  return { process: child_, ended, heard }
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished } from 'vitest'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Command {
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
  /** Settles when stdout holds that. */
  printed(text: string): Promise<void>
  signal(name: NodeJS.Signals): void
}

/** A command as it is typed at the root. Whatever it leaves behind when the test ends, its whole group of processes goes. */
export function command(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Command {
  const child = spawn(name, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let [stdout, stderr] = ['', '']
  const wakes = new Set<() => void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    for (const wake of wakes) wake()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }))
  onTestFinished(() => {
    try {
      process.kill(-(child.pid ?? Number.NaN), 'SIGKILL')
    } catch {
      // All of the group have ended, as they should.
    }
  })
  const printed = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (stdout.includes(text)) resolve()
      }
      wakes.add(look)
      look()
      void ended.then(() => reject(new Error(`It ended without "${text}":\n${stdout}${stderr}`)))
    })
  return { ended, printed, signal: (of) => void child.kill(of) }
}

/** A folder that goes with the test. As TMPDIR it shows what a command leaves behind. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'offstage-examples-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A command that made temporary folders and started processes has taken both back. */
export function expectNothingLeft(temporary: string, stdout: string): void {
  expect(readdirSync(temporary).filter((name) => name.startsWith('offstage'))).toEqual([]) // npm leaves things there too
  const pids = [...stdout.matchAll(/process (\d+)/g)].map(([, pid]) => Number(pid))
  expect(pids.length).toBeGreaterThan(0)
  for (const pid of pids) expect(() => process.kill(pid, 0), `process ${pid} lives`).toThrow('ESRCH')
}

import { execFile, execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { task } from 'offstage'
import { child, type Child } from '../setup/child.ts'
import { stage } from '../setup/stage.ts'

const script = new URL('./fixtures/blocking.ts', import.meta.url)

interface Blocking {
  readonly tasks: readonly string[]
  readonly ms: number
  readonly at: string | null
}
const blockings = (said: readonly unknown[]): readonly Blocking[] =>
  (said as [string, string[], number, string | null][])
    .filter(([what]) => what === 'blocking')
    .map(([, tasks, ms, at]) => ({ tasks, ms, at }))

/** To its end; what it was told of blocks. */
async function told(
  ...args: readonly string[]
): Promise<{ readonly all: readonly Blocking[]; readonly stderr: string }> {
  const { code, said, stderr } = await child(script, { args }).ended
  expect({ code, last: said.at(-1), stderr }).toMatchObject({ code: 0, last: ['over'] })
  const all = blockings(said).filter(({ tasks }) => !tasks.includes('warm'))
  return { all, stderr: stderr.replaceAll(/^.* "warm".*\n/gm, '') }
}

describe.concurrent('a task that blocks the event loop for a while', { timeout: 25_000 }, () => {
  test.each([
    ['in its first lines', ['warm', 'spins', 'at once']],
    ['after an await', ['warm', 'spins']],
  ])('%s is named, with the place and how long; another that waits beside it is not', async (_, args) => {
    const { all, stderr } = await told(...args)
    expect(all).toEqual([{ tasks: ['spins'], ms: expect.any(Number), at: expect.stringContaining('blocking.ts:') }])
    expect(all[0]?.at).toMatch(/^spin /)
    expect(Math.abs(all[0]!.ms - 2_000)).toBeLessThan(200)
    const warnings = stderr.split('\n').filter((line) => line.startsWith('offstage warning'))
    expect(warnings).toEqual([expect.stringMatching(/The task "spins" blocked the event loop for .*`thread: true`/)])
  })

  test('is named once it is back from a native call', async () => {
    const { all } = await told('warm', 'native')
    expect(all).toMatchObject([{ tasks: ['native'], at: expect.stringContaining('blocking.ts:') }])
  })

  test('is logged once in a while, told each time', async () => {
    const { all, stderr } = await told('warm', 'spins', 'spins again')
    expect(all.map(({ tasks }) => tasks)).toEqual([['spins'], ['spins']])
    expect(stderr.match(/The task "spins" blocked/g)).toHaveLength(1)
  })

  test('where no run has a timeout, the first time names all that were under way, the next time the one', async () => {
    const { all, stderr } = await told('untimed', 'spins', 'spins again')
    expect(all).toMatchObject([
      { tasks: ['spins', 'waits'], at: null },
      { tasks: ['spins'], at: expect.stringContaining('blocking.ts:') },
    ])
    expect(stderr).toContain('The event loop was blocked for')
  })

  test('on a worker thread of the application, where it cannot be asked: all that were under way', async () => {
    const { all } = await told('spins', 'on a thread')
    expect(all).toMatchObject([{ tasks: ['spins', 'waits'], at: null }])
  })
})

describe('nothing is told', () => {
  test('of a loop that is busy and turns', async () => {
    expect(await told('quick')).toEqual({ all: [], stderr: '' })
  })

  test("of the application's own code that blocks, however many runs wait meanwhile", async () => {
    expect(await told('warm', 'the application spins')).toEqual({ all: [], stderr: '' })
  })

  test('of a process that was stopped for a while', async () => {
    const { process, ended, heard } = child(script, { args: ['stops', 'exit'] })
    await heard(['stop me'])
    await sleep(200) // by then its loop rests: stopped in the middle of a turn it cannot be told from one that blocks
    process.kill('SIGSTOP')
    await sleep(2_500)
    process.kill('SIGCONT')
    expect(await ended).toMatchObject({ code: 0, said: [['stop me'], ['over']], stderr: '' })
  })
})

/** Its first line of stderr: said while it is blocked. */
async function reported({ process }: Child): Promise<string> {
  for await (const text of process.stderr!) if (String(text).includes('\n')) return String(text)
  throw new Error('It said nothing.')
}

describe.concurrent('a task that is past its timeout and does not come back', { timeout: 20_000 }, () => {
  test.each([
    ['in its first lines', ['forever', 'at once']],
    ['after an await', ['forever']],
  ])('%s is reported by name while it blocks, and the process stays', async (_, args) => {
    const hung = child(script, { args })
    const line = await reported(hung)
    expect(line).toMatch(
      /^offstage error: The task "forever" \(run \S+, attempt 1\) is past its timeout and blocks the event loop since \S+Z, at \S+ file:.*blocking\.ts:\d+\..*`thread: true`\.\n$/,
    )
    await sleep(700)
    expect(hung.process.exitCode ?? hung.process.signalCode).toBeNull()
    hung.process.kill('SIGKILL')
    expect((await hung.ended).stderr.split('\n')).toHaveLength(2)
  })

  test.each([
    ['a loop', ['forever'], 'The task "forever"'],
    ['a native call', ['native forever'], 'Under way were "native-forever"'],
  ])("%s ends the process where `onHang` is 'exit'", async (_, args, words) => {
    const { code, signal, said, stderr } = await child(script, { args: [...args, 'exit'] }).ended
    expect({ code, signal, said }).toEqual({ code: null, signal: 'SIGKILL', said: [] })
    expect(stderr).toContain(words)
  })

  const isolating = ['-Upf', '--mount-proc', '--kill-child']
  const canIsolate = ((): boolean => {
    try {
      execFileSync('unshare', [...isolating, 'true'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })()
  test.runIf(canIsolate)('… also as process 1 of a container, which ends by no signal of its own', async () => {
    const args = [...isolating, process.execPath, ...process.execArgv, script.pathname, 'forever', 'exit']
    const ended = promisify(execFile)('unshare', args, { timeout: 15_000 })
    await expect(ended).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('The task "forever"') })
  })
})

describe('what it costs', () => {
  const alive = new Set<Disposable>()
  const threads = (): number => (process.report.getReport() as { workers: unknown[] }).workers.length
  const noThread = (): Promise<void> => vi.waitFor(() => expect(threads()).toBe(0), { timeout: 5_000 })
  afterEach(() => {
    vi.restoreAllMocks()
    alive.clear()
  })
  const countTicks = (): void => {
    const real = globalThis.setInterval
    vi.spyOn(globalThis, 'setInterval').mockImplementation(((call: () => void, ms: number) => {
      const timer = real(call, ms)
      alive.add(timer)
      const end = timer[Symbol.dispose].bind(timer)
      timer[Symbol.dispose] = () => {
        alive.delete(timer)
        end()
      }
      return timer
    }) as typeof setInterval)
  }
  const none = async (): Promise<void> => vi.waitFor(() => expect(alive.size).toBe(0), { timeout: 2_000 })

  test('nothing while no run is under way; a tick while one is; a thread from the first timeout to the close', async () => {
    countTicks()
    await noThread()
    const held = Promise.withResolvers<void>()
    const untimed = task({ name: 'untimed', run: () => held.promise })
    const timed = task({ name: 'timed', timeout: '1h', run: () => {} })
    const { offstage } = stage()
    await offstage.ready
    expect([alive.size, threads()]).toEqual([0, 0])
    const handle = await offstage.start(untimed)
    await vi.waitFor(() => expect(alive.size).toBe(1))
    expect(threads()).toBe(0)
    await offstage.execute(timed)
    await vi.waitFor(() => expect(threads()).toBe(1))
    held.resolve()
    await handle.result()
    await none()
    await offstage.close()
    expect(alive.size).toBe(0)
    await noThread()
  })

  test('code that never ends is not counted once its attempt has ended', async () => {
    countTicks()
    const deaf = task({ name: 'deaf', timeout: 50, run: () => new Promise<void>(() => {}) })
    const { offstage } = stage()
    await expect(offstage.execute(deaf)).rejects.toThrow()
    await none()
  })

  test('closed with runs under way it leaves no tick and no thread', async () => {
    countTicks()
    await noThread()
    const deaf = task({ name: 'deaf', timeout: '1h', run: () => new Promise<void>(() => {}) })
    const { offstage, seen } = stage()
    await offstage.start(deaf)
    await seen('run:started')
    await offstage.close({ deadline: 200 })
    expect(alive.size).toBe(0)
    await noThread()
  })
})

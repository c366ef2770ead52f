import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { child, type Child } from '../setup/child.ts'

const script = new URL('./fixtures/signaled.ts', import.meta.url)

/** A process with work under way. */
async function ready(...flags: readonly string[]): Promise<Child> {
  const started = child(script, { args: flags })
  await started.heard(['ready'])
  return started
}

describe.concurrent('where ours is the only listener', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s drains what is under way, then the process exits with 0',
    async (signal) => {
      const { process, ended } = await ready()
      process.kill(signal)
      expect(await ended).toEqual({ code: 0, signal: null, said: [['ready'], ['done']], stderr: '' })
    },
  )

  test('work that outlives the grace is aborted; then the process exits with 0', async () => {
    const { process, ended } = await ready('long')
    process.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 0, signal: null, said: [['ready'], ['canceled']] })
  })

  test('work that heeds nothing does not keep the process', async () => {
    const { process, ended } = await ready('deaf')
    process.kill('SIGTERM')
    expect(await ended).toMatchObject({
      code: 0,
      signal: null,
      stderr: expect.stringMatching(/The task "work" was abandoned at the shutdown: .* is gone\. run=\S+ task=work/),
    })
  })

  test('every Offstage of the process drains, before one exit', async () => {
    const { process, ended } = await ready('two')
    process.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 0, said: [['ready'], ['done'], ['done']] })
  })

  test.each([
    ['SIGTERM', 'SIGTERM', 'grace of an hour'],
    ['SIGTERM', 'SIGINT', 'grace of an hour'],
    ['SIGTERM', 'SIGTERM', 'store hangs'],
    ['SIGINT', 'SIGTERM', 'store is locked'],
  ] as const)(
    'a second signal (%s, then %s) ends the process at once, by that signal: %s',
    async (first, second, flag) => {
      const { process, ended } = await ready('deaf', 'grace of an hour', flag)
      process.kill(first)
      // The first must have been taken before the second comes: one signal twice at once is one.
      await sleep(100)
      const at = performance.now()
      process.kill(second)
      expect(await ended).toMatchObject({ code: null, signal: second })
      expect(performance.now() - at).toBeLessThan(1_000)
    },
  )

  test.each([
    ['does not answer any more', 'store hangs'],
    ["waits for another process's lock, inside of SQLite", 'store is locked'],
  ])(
    'the deadline holds with a store that %s; what is abandoned is named, and the end is by the signal',
    async (_, flag) => {
      const { process, ended } = await ready('deaf', flag)
      const at = performance.now()
      process.kill('SIGTERM')
      const { signal, code, stderr } = await ended
      expect({ signal, code }).toEqual({ signal: 'SIGTERM', code: null })
      expect(stderr).toMatch(/The task "work" was abandoned at the shutdown: .* goes on elsewhere.* run=\S+ task=work/)
      expect(performance.now() - at).toBeLessThan(300 + 1_500 + 1_000)
    },
  )
})

describe.concurrent('where the application listens too', () => {
  test('the work is drained and the exit is its own', async () => {
    const { process, ended } = await ready('exits')
    process.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 7, signal: null, said: [['ready'], ['done']] })
  })

  test('a process that ends by itself when all is drained does so, with 0', async () => {
    const { process, ended } = await ready('listens', 'ends by itself')
    process.kill('SIGTERM')
    const { said, ...end } = await ended
    expect(end).toMatchObject({ code: 0, signal: null })
    expect(said).toEqual(expect.arrayContaining([['the application heard it'], ['done']]))
  })
})

test('where the application listens too, a second signal is its own as well', async () => {
  const { process, ended, heard } = await ready('deaf', 'grace of an hour', 'counts')
  process.kill('SIGTERM')
  await heard(['heard', 1])
  process.kill('SIGTERM')
  await heard(['heard', 2])
  await sleep(300)
  expect(process.exitCode ?? process.signalCode).toBeNull()
  process.kill('SIGKILL')
  await ended
})

test('an application that goes on after a signal, with a new Offstage, has that drained at the next signal', async () => {
  const { process, ended, heard } = await ready('goes on')
  process.kill('SIGTERM')
  await heard(['goes on'])
  process.kill('SIGTERM')
  expect(await ended).toMatchObject({
    code: 7,
    said: [['ready'], ['done'], ['goes on'], ['refused', 'OFFSTAGE_SHUTDOWN'], ['done']],
  })
})

describe.concurrent('no signal is ours', () => {
  test('where `shutdown.signals` is false: the process ends by it, as Node has it', async () => {
    const { process, ended } = await ready('signals off')
    process.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: null, signal: 'SIGTERM' })
  })

  test('after close(): the process ends by it, as Node has it', async () => {
    const { process, ended } = await ready('closed')
    process.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: null, signal: 'SIGTERM' })
  })
})

import { expect, test } from 'vitest'
import { CanceledError } from '../../src/core/errors.ts'
import { begun, stage } from './stage.ts'

const notSerializable = (text: string) =>
  expect.objectContaining({ code: 'OFFSTAGE_NOT_SERIALIZABLE', message: expect.stringContaining(text) })

test.each(['at once', 'later'])(
  'what a task throws %s comes back with its name, code, cause and stack',
  async (input) => {
    const { run } = await stage()
    const error = await run('throws', { input }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'Refused', message: 'no', code: 'E_REFUSED', expose: true })
    expect((error as Error).cause).toMatchObject({ name: 'RangeError', message: 'too far' })
    expect((error as Error).stack).toContain('fixtures/tasks.ts')
  },
)

test('what is no error, and what is a native one, keep what they are', async () => {
  const { run } = await stage()
  await expect(run('throws', { input: 'a text' })).rejects.toMatchObject({ message: 'only a text' })
  await expect(run('throws', { input: 'a native error' })).rejects.toMatchObject({ name: 'TypeError' })
})

test.each(['timer', 'promise', 'timer after its end'])(
  'a failure set free by a %s is told once, with its run, and its thread lives',
  async (input) => {
    const { run, strays } = await stage()
    const thread = await run('onWhich')
    expect(await run('setsFree', { input })).toBe('went on')
    await expect.poll(() => strays.length).toBe(1)
    expect(await run('onWhich')).toBe(thread)
    expect(strays).toEqual([
      {
        claim: { run: 'run-2', attempt: 7 },
        task: 'setsFree',
        error: expect.objectContaining({ name: 'TypeError', message: `from a ${input}` }),
      },
    ])
  },
)

test('a failure in a listener of ctx.signal is told with its run, and its thread lives', async () => {
  const { run, strays } = await stage()
  const { hear, begun: heard } = begun()
  const ending = new AbortController()
  const end = run('throwsInAListener', { signal: ending.signal, hear })
  await heard
  ending.abort(new CanceledError())
  await end
  await expect.poll(() => strays.length).toBe(1)
  expect(strays[0]).toMatchObject({ task: 'throwsInAListener', error: { message: 'from a listener' } })
})

test('a result, an output and an input that cannot be sent fail their run alone', async () => {
  const { run, executor } = await stage()
  const thread = await run('onWhich')
  await expect(run('notCloneable')).rejects.toEqual(notSerializable('The result of the task "notCloneable"'))
  await expect(run('emitsNotCloneable')).rejects.toEqual(notSerializable('An output of the task "emitsNotCloneable"'))
  await expect(run('echo', { input: () => {} })).rejects.toEqual(notSerializable('The input of the task "echo"'))
  expect(await run('onWhich')).toBe(thread)
  expect(executor.free).toBe(1)
})

test('inputs that cannot be sent hold up nobody who waits behind them', async () => {
  const { run } = await stage()
  const ends = Promise.allSettled(Array.from({ length: 20_000 }, () => run('echo', { input: () => {} })))
  expect(await run('echo', { input: 'sent' })).toBe('sent')
  expect(new Set((await ends).map(({ status }) => status))).toEqual(new Set(['rejected']))
})

test('a task that is not there, or is not for threads, is named', async () => {
  const { run, tasks } = await stage({ module: 'other' })
  expect(tasks.get('echo')).toBeDefined()
  await expect(run('echo')).rejects.toThrow(/other\.ts exports no task named "echo" with `thread: true`/)
  await expect(run('onTheLoop')).rejects.toMatchObject({ code: 'OFFSTAGE_UNKNOWN_TASK' })
})

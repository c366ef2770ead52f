import { expect, test } from 'vitest'
import { CanceledError, RunFailedError, TimeoutError } from '../../src/core/errors.ts'
import type { RunHandle } from '../../src/core/start.ts'
import type { AnyTask, TaskContext } from '../../src/core/task.ts'
import { Lending } from '../../src/runtime/lending.ts'
import { stage } from './stage.ts'

/** Runs whose children are run by the same executor; a parent that awaits one gives its place back. */
async function family(size = 1) {
  const { run, executor, ...rest } = await stage({ size })
  const runInFamily = async (name: string, input?: unknown): Promise<unknown> => {
    const lending = new Lending(executor)
    const start = async (task: AnyTask, childInput: unknown) =>
      childOf(task, runInFamily(task.name, childInput), lending)
    try {
      return await run(name, { input, start: start as TaskContext['start'] }) // the part of a handle that a thread asks for
    } finally {
      lending.end()
    }
  }
  return { ...rest, executor, run: runInFamily }
}

function childOf({ name }: AnyTask, end: Promise<unknown>, lending: Lending): Partial<RunHandle<unknown>> {
  const failed = async (cause: unknown): Promise<never> => {
    throw new RunFailedError('the child', name, cause)
  }
  end.catch(() => {})
  return {
    id: 'the child',
    disposition: 'created',
    result: ({ timeout } = {}) =>
      timeout === undefined
        ? lending.lend(() => end.catch(failed))
        : Promise.reject(new TimeoutError(`after ${timeout}`)),
    cancel: async (reason) => (reason === 'enough' ? 'canceling' : 'finished'),
    status: async () => ({ createdAt: new Date(5) }) as never,
  }
}

test('a parent that awaits its child on the only thread ends, and the pool is as large as before', async () => {
  const { run, executor } = await family(1)
  expect(await run('parent', 1)).toEqual({ child: 'the child', came: 2 })
  await expect.poll(() => executor.free).toBe(1)
  const threads = new Set(await Promise.all(Array.from({ length: 5 }, () => run('onWhich'))))
  expect(threads.size).toBe(1)
})

test('grandparents too', async () => {
  const { run, executor } = await family(1)
  expect(await run('generations', 4)).toBe(4)
  await expect.poll(() => executor.free).toBe(1)
})

test('a child that failed is a RunFailedError on the thread, with its cause', async () => {
  const { run } = await family()
  const text = 'The run the child of the task "child" failed: below zero'
  expect(await run('failingParent')).toEqual({ run: true, cause: 'RangeError', text })
})

test('the handle of a child answers on the thread', async () => {
  const { run } = await family()
  expect(await run('askingParent', 'status')).toEqual(new Date(5))
  expect(await run('askingParent', 'cancel')).toBe('canceling')
  await expect(run('askingParent', 'timeout')).rejects.toThrow(TimeoutError)
  await expect(run('askingParent', 'signal')).rejects.toThrow(CanceledError)
})

test('what a thread cannot do yet, or cannot send, is refused and ends nothing else', async () => {
  const { run } = await family()
  await expect(run('askingParent', 'events')).rejects.toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
  await expect(run('askingParent', 'start with a signal')).rejects.toMatchObject({ code: 'OFFSTAGE_BAD_OPTION' })
  await expect(run('askingParent', 'stranger')).rejects.toMatchObject({ code: 'OFFSTAGE_UNKNOWN_TASK' })
  await expect(run('askingParent', 'not cloneable')).rejects.toMatchObject({ code: 'OFFSTAGE_NOT_SERIALIZABLE' })
  expect(await run('echo', 1)).toBe(1)
})

test('what code starts after its end is not started', async () => {
  const { run, strays } = await family()
  expect(await run('startsTooLate')).toBe('ended')
  await expect.poll(() => strays.length).toBe(1)
  expect(strays[0]).toMatchObject({ task: 'startsTooLate', error: { code: 'OFFSTAGE_RUN_FINISHED' } })
})

test('our side waits for no child of a run that has ended', async () => {
  const { run } = await stage()
  const ended = Promise.withResolvers<unknown>()
  const result: RunHandle<unknown>['result'] = ({ signal } = {}) => {
    signal?.addEventListener('abort', () => ended.resolve(signal.reason))
    return new Promise(() => {})
  }
  const start = async () => ({ id: 'the child', disposition: 'created', result })
  await run('leavesItsChild', { start: start as unknown as TaskContext['start'] }) // as above
  expect(await ended.promise).toMatchObject({ code: 'OFFSTAGE_RUN_FINISHED' })
})

import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { task } from '../../src/core/task.ts'
import { importTasks, loadTasks, type TaskSource } from '../../src/runtime/registry.ts'

const mail = task({ name: 'mail', run: () => {} })
const report = task({ name: 'report', durable: true, run: () => 1 })
const fixture = (name: string) => new URL(`../threads/fixtures/${name}.ts`, import.meta.url)
const refused = (text: string | RegExp) =>
  expect.objectContaining({ code: 'OFFSTAGE_BAD_OPTION', message: expect.stringMatching(text) })
const thrownBy = (source: unknown): unknown => {
  try {
    return loadTasks(source as TaskSource)
  } catch (error) {
    return error
  }
}

test.each<[string, TaskSource]>([
  ['a list', [mail, report]],
  ['an object that holds other things too', { mail, report, again: mail, size: 3, nothing: null, help: () => {} }],
])('tasks are found by their name in %s, at once', (_, source) => {
  const registry = loadTasks(source)
  if (registry instanceof Promise) throw new Error('tasks given by value need no waiting')
  expect(registry.module).toBeUndefined()
  expect(registry.all.map(({ name }) => name)).toEqual(['mail', 'report'])
  expect(registry.get('report')).toMatchObject({ name: 'report', durable: true })
  expect(registry.task('report')).toBe(report)
  expect(registry.get('constructor')).toBeUndefined()
})

test.each([
  ['a URL', fixture('tasks')],
  ['its text', fixture('tasks').href],
  ['a path', fileURLToPath(fixture('tasks'))],
])('a module given as %s is imported', async (_, source) => {
  const registry = await loadTasks(source)
  expect(registry.module).toBe(fixture('tasks').href)
  expect(registry.get('echo')).toMatchObject({ name: 'echo', thread: true })
  expect(registry.all.every(({ run }) => typeof run === 'function')).toBe(true)
})

test('two tasks of one name are refused, the same one twice is not', () => {
  const other = task({ name: 'mail', run: () => {} })
  expect(thrownBy([mail, other])).toMatchObject({
    code: 'OFFSTAGE_DUPLICATE_TASK',
    message: expect.stringContaining('"mail"'),
  })
  expect(loadTasks([mail, mail])).toMatchObject({ all: [{ name: 'mail' }] })
})

test('what is no task is refused with its place', () => {
  expect(thrownBy([mail, { name: 'looks like one' }])).toEqual(refused(/`tasks\[1\]` must be a task/))
  expect(thrownBy(5)).toEqual(refused('`tasks`'))
  expect(thrownBy('./tasks.ts')).toEqual(refused(/import\.meta\.resolve.*got \.\/tasks\.ts/))
  expect(thrownBy('https://example.com/tasks.js')).toEqual(refused('`tasks`'))
})

test('a module that cannot be imported is named, with the cause', async () => {
  const missing = fixture('nowhere').href
  await expect(importTasks(missing)).rejects.toEqual(refused(/nowhere\.ts could not be imported/))
  await expect(importTasks(missing)).rejects.toMatchObject({ cause: expect.any(Error) })
})

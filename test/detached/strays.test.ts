import { beforeAll, describe, expect, test } from 'vitest'
import { child, type Ended } from '../setup/child.ts'

const script = new URL('./fixtures/strays.ts', import.meta.url)

const failed = (error: unknown = 'Error: let go') => [
  ['told', 'run:failed', 'careless'],
  ['logged', 'error', 'The task "careless" failed.', error],
]
const stray = [
  ['told', 'task:stray', 'careless', 'Error: let go'],
  [
    'logged',
    'error',
    'The task "careless" let a failure go: a promise it did not await, or a timer, failed.',
    'Error: let go',
  ],
]
const succeeded = [['told', 'run:succeeded', 'careless']]
const canceled = [['told', 'run:canceled', 'careless']]
const tooLong = failed(expect.stringContaining('took longer than its timeout of 10 ms'))

describe.each(['in memory', 'durable'])('a task, %s, that fails', (kind) => {
  let ended: Ended
  beforeAll(async () => {
    ended = await child(script, { args: [kind] }).ended
  })

  test.each([
    ['before its first await', failed()],
    ['after its first await', failed()],
    ['in a timer', [...stray, ...succeeded]],
    ['in a timer, after its end', [...stray, ...succeeded]],
    ['in a promise it did not await', [...stray, ...succeeded]],
    ['in a promise it did not await, after its end', [...stray, ...succeeded]],
    ["in an event emitter's error", [...stray, ...succeeded]],
    ['in a tick', [...stray, ...succeeded]],
    ['in a listener on its signal, at its timeout', [...stray, ...tooLong]],
    ['in a listener on its signal, at a cancel', [...stray, ...canceled]],
  ])('%s is reported once, with its name, and the process lives', (way, expected) => {
    const said = (ended.said as readonly (readonly unknown[])[]).filter(([of]) => of === way).map(([, ...line]) => line)
    expect(said, ended.stderr).toEqual(expect.arrayContaining([...expected, ['lives']]))
    expect(said).toHaveLength(expected.length + 1)
  })

  test('leaves nothing on stderr and ends by itself', () => {
    expect(ended).toMatchObject({ stderr: '', code: 0 })
  })
})

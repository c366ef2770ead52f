import { expect, test } from 'vitest'
import { command } from './command.ts'

/** Each scene says what it sees, and judges it by its exit code; here it must also have seen all there is. */
async function seenIn(name: string, env?: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const { code, stdout, stderr } = await command('npm', ['run', '-s', 'example', name], env).ended
  expect(code, stdout + stderr).toBe(0)
  return stdout.split('\n').filter((line) => line.startsWith('ok '))
}
const matching = (seen: readonly string[], pattern: RegExp): readonly string[] =>
  seen.filter((line) => pattern.test(line))

test('scene 1, start and answer', { timeout: 60_000 }, async () => {
  const seen = await seenIn('start-and-answer')
  expect(
    matching(seen, /an empty handler answers in [\d.]+ ms; one that starts a task of 2 s in [\d.]+ ms/),
  ).toHaveLength(1)
  expect(matching(seen, /blocks the loop for 200 ms: [\d.]+ ms; the next request had to wait \d+ ms/)).toHaveLength(3)
})

test('scene 2, detach and listen', { timeout: 60_000 }, async () => {
  const seen = await seenIn('scenes/2-detach-and-listen')
  const names = ['throws-at-once', 'throws-after-10-ms', 'throws-from-a-timer', 'rejects-where-nobody-waits']
  for (const name of names) {
    expect(matching(seen, new RegExp(`${name}: answered 204`))).toHaveLength(1)
    expect(matching(seen, new RegExp(`${name}: the process lives, and told it once: The task "${name}"`))).toHaveLength(
      1,
    )
  }
  expect(matching(seen, /async context holds no request/)).toHaveLength(1)
  expect(matching(seen, /10000 requests started .* of all requests 0 are still in memory/)).toHaveLength(1)
})

test('scene 3, a queue and its worker', { timeout: 60_000 }, async () => {
  const seen = await seenIn('queue-and-worker')
  expect(matching(seen, /answered 202 before anything was performed/)).toHaveLength(4)
  expect(matching(seen, /the one that failed stopped nothing: count, mail to ann@example.org, report/)).toHaveLength(2)
  expect(matching(seen, /\/memory: kill -9, and [012] of 3 were performed/)).toHaveLength(1)
  expect(matching(seen, /\/durable: kill -9, and 3 of 3 were performed/)).toHaveLength(1)
})

test('scene 6, the half-hour task', { timeout: 60_000 }, async () => {
  const seen = await seenIn('6-half-hour-task', { HALF_HOUR: '4' })
  expect(matching(seen, /POST answered 202/)).toHaveLength(2)
  expect(matching(seen, /the same client saw its end: succeeded, at attempt 2/)).toHaveLength(1)
  expect(matching(seen, /(?:19|20) of 20 steps were performed once/)).toHaveLength(1)
  expect(matching(seen, /it ended as canceled at (?!100)\d+ %/)).toHaveLength(1)
})

test('an example that there is none of is told, with those there are', { timeout: 20_000 }, async () => {
  const { code, stderr } = await command('npm', ['run', '-s', 'example', 'nothing']).ended
  expect(code).toBe(2)
  expect(stderr).toContain('There is no example "nothing".')
  expect(stderr).toContain('scenes/6-half-hour-task')
})

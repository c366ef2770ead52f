import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('runs keep the process alive, threads that wait for one do not', async () => {
  const script = fileURLToPath(new URL('fixtures/leaves-idle.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 8_000 })
  expect(stdout).toBe('on a new thread\non an idle thread\n')
})

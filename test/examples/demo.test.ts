import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { command, expectNothingLeft, folder } from './command.ts'

const DEMO = 'examples/file-report/demo.ts'
const demo = (files: readonly string[], temporary: string) =>
  command(process.execPath, [DEMO, ...files], { TMPDIR: temporary })

describe('npm run demo', { timeout: 60_000 }, () => {
  test('without a file: the server is killed half way, and the run goes on from its last finished step', async () => {
    const temporary = folder()
    const { code, stdout, stderr } = await command('npm', ['run', '-s', 'demo'], { TMPDIR: temporary }).ended
    expect(stderr).toBe('')
    const order = [
      /^A server at http:\/\/127\.0\.0\.1:\d+, process \d+/m,
      /^POST \/reports\?name=offstage-itself\.txt/m,
      /^202 Accepted, after \d+ ms\nLocation: \/runs\/[0-9a-f-]{36}$/m,
      /\[#{15,}\.*\] +\d+ % {2}attempt 1/,
      /^kill -9 \d+\nstarted again: process \d+$/m,
      /comes back with Last-Event-ID: \d+$/m,
      /\d+ % {2}attempt 2/,
      /^succeeded at attempt 2, [\d.]+ s after the 202$/m,
      /^ {2}size +\d+\.\d MB\n {2}lines +[\d,]+\n {2}words +[\d,]+\n {2}most frequent \w+ [\d,]+, /m,
      /^ {2}SHA-256 +[0-9a-f]{64}\n {2}gzip +\d+\.\d % of its size$/m,
      /^The journal: (?:41|42) steps were performed once\.$/m,
    ]
    let rest = stdout
    for (const part of order) {
      expect(rest).toMatch(part)
      rest = rest.slice(rest.search(part))
    }
    expect(stdout).not.toContain('WRONG')
    expect(code).toBe(0)
    expectNothingLeft(temporary, stdout)
  })

  test('an empty, a binary and a CSV file', async () => {
    const temporary = folder()
    const files = folder()
    const file = (name: string, content: string | Buffer): string => {
      writeFileSync(join(files, name), content)
      return join(files, name)
    }
    const rows = ['id,name,price,day', '1,"Lovelace, Ada",3.5,2024-02-03', '2,Grace,12,2023-11-30', '3,,,', '4,odd']
    const given = [file('empty.txt', ''), file('some.bin', randomBytes(100_000)), file('some.csv', rows.join('\r\n'))]
    const { code, stdout } = await demo(given, temporary).ended
    const [, empty = '', binary = '', csv = ''] = stdout.split(/^POST /m)
    expect(empty).toContain('the file is empty')
    expect(empty).toContain('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    expect(binary).toContain('binary, or not UTF-8')
    expect(binary).not.toContain('words  ')
    expect(csv).toContain('rows          3, and 1 with another number of columns, left out')
    expect(csv).toMatch(/id +integer, 1 to 3\n/)
    expect(csv).toMatch(/name +text, 5 to 13 characters, 1 empty\n/)
    expect(csv).toMatch(/price +number, 3\.5 to 12, 1 empty\n/)
    expect(csv).toMatch(/day +date, 2023-11-30 to 2024-02-03, 1 empty\n/)
    expect(code).toBe(0)
    expectNothingLeft(temporary, stdout)
  })

  test.each([
    ['a missing path', 'missing.txt', 'There is no file'],
    ['a folder', 'folder', 'is a folder'],
  ])('%s is told in a sentence, with exit code 2', async (_, name, sentence) => {
    const files = folder()
    mkdirSync(join(files, 'folder'))
    writeFileSync(join(files, 'good.txt'), 'good')
    const { code, stdout, stderr } = await demo([join(files, 'good.txt'), join(files, name)], files).ended
    expect(code).toBe(2)
    expect(stderr).toContain(sentence)
    expect(stderr).not.toContain('    at ')
    expect(stdout).toBe('') // nothing was begun, not even with the good one
  })

  test('ended in the middle, it takes its server and its folder with it', async () => {
    const temporary = folder()
    const running = demo([], temporary)
    await running.printed('attempt 1')
    running.signal('SIGTERM')
    const { code, stdout, stderr } = await running.ended
    expect(stderr).toContain('Ended by SIGTERM.')
    expect(code).toBe(1)
    expectNothingLeft(temporary, stdout)
  })
})

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parsePage, stagesOf } from '../docs/markdown.ts'
import { Terminal } from '../docs/terminal.ts'

const page = parsePage('first-program.md', readFileSync(new URL('first-program.md', import.meta.url), 'utf8'))
const { files } = stagesOf(page).at(-1)!
const [post = '', follow = ''] = [...page.prose.matchAll(/`(curl [^`]+)`/g)].map(([, command = '']) => command)

/** The printed program leaves this to its reader. */
const RENDER = `import { setTimeout as sleep } from 'node:timers/promises'
const renderRow = (row: number, signal: AbortSignal) => sleep(40, undefined, { signal })
`

const hasCurl = spawnSync('curl', ['--version']).status === 0

test.skipIf(!hasCurl)(
  'the first program runs as printed, and finishes after a kill -9',
  { timeout: 60_000 },
  async () => {
    await using terminal = await Terminal.open(files)
    terminal.write('tasks.ts', RENDER + files.get('tasks.ts')!)
    await terminal.start('server.ts')

    const answer = await terminal.command(post)
    expect(answer).toMatch(/^HTTP\/1\.1 202 /m)
    expect(answer).toMatch(/"state":"(?:waiting|running)","done":false/) // at once: rendering 50 rows takes 2 s
    const [, id = ''] = /^location: \/runs\/([0-9a-f-]{36})\r?$/im.exec(answer) ?? []
    const command = follow.replace('<id>', id)

    const first = await terminal.command(`${command} | grep -m 3 -A 1 'event: progress'`)
    expect(first).toMatch(/data: \{"done":\d+,"fraction":0\.\d+,"total":50\}/)
    await terminal.kill('SIGKILL')
    await terminal.start('server.ts')
    const second = await terminal.command(command)
    expect(second).toMatch(/event: done\ndata: .*"state":"succeeded".*"attempt":2,.*"result":\{"rows":50\}/)
  },
)

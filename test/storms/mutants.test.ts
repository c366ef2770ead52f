// About a minute: each mistake is built in a copy of the sources, and the storm that must find it runs there, in a Vitest of its own.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { expect, onTestFinished } from 'vitest'
import { STORM_MUTANTS } from '../mutants/contract.ts'
import { plant, type Edit } from '../mutants/mutant.ts'
import { storm } from './support/rights.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** What a storm needs beside its own sources: it runs on a package that is built there. */
const FOLDERS = ['src', 'test/storms', 'test/setup', 'scripts']
const FILES = ['tsconfig.json', 'tsconfig.build.json', 'vitest.config.ts']

interface Asked {
  readonly files: readonly string[]
  readonly storms: readonly string[]
}

/** What these storms say, in their short form, of a copy of the sources with these edits. */
function stormedWith(edits: readonly Edit[], { files, storms }: Asked): Promise<string> {
  const to = mkdtempSync(join(tmpdir(), 'offstage-mutant-'))
  onTestFinished(() => rmSync(to, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }))
  plant(edits, { from: root, to, folders: [...FOLDERS, ...FILES] })
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'))
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const args = [vitest, 'run', '--project', 'storms', ...files, '-t', storms.join('|')]
  const options = { cwd: to, env: ownEnvironment(), timeout: 90_000, maxBuffer: 2 ** 26 }
  return new Promise((resolve) => {
    // A red one ends with 1: what it says is looked at.
    execFile(process.execPath, args, options, (_, out, err) => resolve(stripVTControlCharacters(out + err)))
  })
}

/** Nothing that tells the other Vitest that it is this one's worker. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const ours = Object.entries(process.env).filter(([name]) => !/^(VITEST|OFFSTAGE_STORMS$)/.test(name))
  return { ...Object.fromEntries(ours), NO_COLOR: '1', FORCE_COLOR: '0' }
}

storm.for(STORM_MUTANTS)('$name is killed: $about', async ({ edits, killedBy }) => {
  const said = await stormedWith(edits, { files: [killedBy.file], storms: [killedBy.storm] })
  expect(said).toMatch(/^0 passed, 1 failed/m)
  expect(said).toContain(` > ${killedBy.storm}\nAssertionError: `)
  for (const words of killedBy.says) expect(said).toMatch(words)
})

storm('the sources as they are live through the storms that kill them', async () => {
  const killers = STORM_MUTANTS.map(({ killedBy }) => killedBy)
  const files = [...new Set(killers.map(({ file }) => file))]
  const said = await stormedWith([], { files, storms: killers.map((killer) => killer.storm) })
  expect(said).toMatch(new RegExp(`^${STORM_MUTANTS.length} passed, 0 failed`, 'm'))
})

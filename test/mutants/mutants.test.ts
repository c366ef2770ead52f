import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { simulated } from '../simulator/child.ts'
import type { Tally } from '../simulator/seeds.ts'
import { STORE_MUTANTS, STORM_MUTANTS } from './contract.ts'
import { plant, type Edit } from './mutant.ts'
import { PROTOCOL_MUTANTS } from './protocol.ts'

/** A harness that needs more to find one of them is not worth its time. */
const SEEDS = 2_000
const root = fileURLToPath(new URL('../../', import.meta.url))

/** What the simulator says of the sources with these edits. */
async function simulatedWith(
  edits: readonly Edit[],
  asked: { readonly to: number; readonly until?: string },
): Promise<Tally> {
  return simulated({ from: 0, ...asked }, pathToFileURL(`${planted(edits)}/`))
}

/** A copy of the sources with these edits, for one test. */
function planted(edits: readonly Edit[]): string {
  const to = mkdtempSync(join(tmpdir(), 'offstage-mutant-'))
  onTestFinished(() => rmSync(to, { recursive: true, force: true }))
  plant(edits, { from: root, to, folders: ['src', 'test/simulator', 'test/mutants'] })
  return to
}

test.for(PROTOCOL_MUTANTS)('$name is killed: $about', { timeout: 60_000 }, async ({ edits, killedBy }) => {
  const { broken } = await simulatedWith(edits, { to: SEEDS, until: killedBy })
  expect(broken.map((verdict) => verdict.broken)).toContain(killedBy)
})

test.for(STORE_MUTANTS)(
  '$name in the $store store breaks the contract: $breaks',
  { timeout: 60_000 },
  async (mutant) => {
    const to = planted(mutant.edits)
    const main = join(to, 'test/mutants/contract-main.ts')
    const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'offstage-compiled') }
    const { stdout } = await promisify(execFile)(process.execPath, [main, mutant.store, mutant.breaks], { env })
    expect(JSON.parse(stdout)).toEqual([mutant.breaks])
  },
)

test.for(STORM_MUTANTS)('$name for the storms fits the sources: $about', ({ edits }) => {
  planted(edits)
})

test('the sources as they are live through the seeds that kill them', { timeout: 60_000 }, async () => {
  expect((await simulatedWith([], { to: 300 })).broken).toEqual([])
})

test('an edit that does not fit the sources is an error, not a mutant that lives', async () => {
  const edit = { file: 'src/durable/rescue.ts', search: 'what nobody would write there', replace: '' }
  await expect(simulatedWith([edit], { to: 1 })).rejects.toThrow('src/durable/rescue.ts holds this 0 times')
})

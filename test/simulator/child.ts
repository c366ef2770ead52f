import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Asked, Tally } from './seeds.ts'

/** The simulator of that copy of the sources, in a process of its own: quicker than among tests, and deaf to what they patch. */
export async function simulated(asked: Asked, root: URL | string = new URL('../../', import.meta.url)): Promise<Tally> {
  const main = new URL('test/simulator/main.ts', root)
  const { stdout } = await promisify(execFile)(process.execPath, [main.pathname, JSON.stringify(asked)], {
    maxBuffer: 2 ** 26,
  })
  return JSON.parse(stdout) as Tally // main.ts prints one
}

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Tests of whole processes run plain Node on dist/: it is built once, before all of them. */
export default function buildOnce(): void {
  const script = fileURLToPath(new URL('../../scripts/build.mjs', import.meta.url))
  const { status } = spawnSync(process.execPath, [script, '--if-older', '--despite-errors'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status !== 0) throw new Error('dist/ could not be built: see above')
}

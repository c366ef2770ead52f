// Builds dist/ beside the old one and swaps them at the end, so that a process which is reading dist/ meanwhile
// (a second terminal, the tests' server processes) meets a whole one, and a failed build leaves the last good one.
//   --if-older        only when something in src/ is newer than dist/
//   --despite-errors  keep what was emitted even though the types are wrong: the tests run, the type check tells
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = root + 'dist'
const fresh = `${root}.dist-${process.pid}`
const old = `${root}.dist-old-${process.pid}`

// Folders count too: a removed file shows only in its folder's time.
const inputs = () => [
  ...['src', 'tsconfig.json', 'tsconfig.build.json'].map((path) => root + path),
  ...readdirSync(root + 'src', { recursive: true, encoding: 'utf8' }).map((path) => `${root}src/${path}`),
]
const isCurrent = () => {
  if (!existsSync(dist)) return false
  const builtAt = statSync(dist).mtimeMs
  return inputs().every((path) => statSync(path).mtimeMs < builtAt)
}

const build = () => {
  const startedAt = new Date()
  const tsc = [root + 'node_modules/typescript/bin/tsc', '-p', root + 'tsconfig.build.json', '--outDir', fresh]
  const { status } = spawnSync(process.execPath, tsc, { stdio: ['ignore', 'inherit', 'inherit'] })
  const keep = status === 0 || (process.argv.includes('--despite-errors') && existsSync(fresh))
  if (keep) {
    if (existsSync(dist)) renameSync(dist, old)
    renameSync(fresh, dist)
    utimesSync(dist, startedAt, startedAt) // what was edited during the build is newer than it
  }
  return keep ? 0 : status || 1
}

if (!(process.argv.includes('--if-older') && isCurrent())) {
  try {
    process.exitCode = build()
  } finally {
    for (const folder of [fresh, old]) rmSync(folder, { recursive: true, force: true })
  }
}

// npm run example <name>: runs examples/<name>.ts, examples/<name>/main.ts, or the same below examples/scenes/, with or without the scene's number.
// An example imports the package by its name, so what runs is dist/, built first where it is missing or older.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const examples = root + 'examples/'

/** @returns {Map<string, string>} each example's name and the file that runs it */
const find = () => {
  const files = existsSync(examples) ? readdirSync(examples, { recursive: true, encoding: 'utf8' }) : []
  const found = files
    .map((file) => /^((?:scenes\/)?[^/]+?)(?:\/main)?\.ts$/.exec(file))
    .filter((match) => match !== null)
  return new Map(found.map((match) => [match[1] ?? '', examples + match[0]]))
}

/** @param {string | undefined} name @param {Map<string, string>} all */
const choose = (name, all) =>
  [...all].find(([key]) =>
    [key, `${key}.ts`, key.replace('scenes/', ''), key.replace(/^scenes\/\d+-/, '')].includes(name ?? ''),
  )?.[1]

const [name, ...args] = process.argv.slice(2)
const all = find()
const file = choose(name, all)

if (file === undefined) {
  console.error(name === undefined ? 'Which example? npm run example <name>' : `There is no example "${name}".`)
  console.error(['There are:', ...[...all.keys()].sort()].join('\n  '))
  process.exitCode = 2
} else {
  const built = spawnSync(process.execPath, [root + 'scripts/build.mjs', '--if-older'], { stdio: 'inherit' })
  process.exitCode = built.status || (spawnSync(process.execPath, [file, ...args], { stdio: 'inherit' }).status ?? 1)
}

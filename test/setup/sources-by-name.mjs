// Loaded by `--import` into the test processes and, by inheritance, into their threads and forked children: there
// too `offstage` means src/. Without it a tasks module on a thread would get its own second copy, from dist/.
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

const root = new URL('../../', import.meta.url)

/** @type {{ exports: Record<string, string | { default: string }> }} */
const { exports } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'))

/** The package's public names, each with its source file. @type {Map<string, string>} */
export const sources = new Map(
  Object.entries(exports).flatMap(([subpath, target]) => {
    if (typeof target === 'string') return []
    const file = target.default.replace('./dist/', './src/').replace(/\.js$/, '.ts')
    return [[subpath.replace('.', 'offstage'), new URL(file, root).href]]
  }),
)

registerHooks({
  resolve(specifier, context, next) {
    return next(sources.get(specifier) ?? specifier, context)
  },
})

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as rules from './architecture/rules.ts'
import { readSource, readSources, type Source } from './architecture/source.ts'

const readText = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

const sources = readSources()

/** Functions above 40 lines, each with why it is better whole. Exact: an entry that is no longer needed fails too. */
const LONG_FUNCTIONS: Readonly<Record<string, string>> = {}

/** State that outlives its owner, each with why. Exact, as above. */
const MODULE_STATE: Readonly<Record<string, string>> = {
  'runtime/exit-signals.ts draining': 'a process has one pair of signals, however many instances it holds',
  'runtime/exit-signals.ts drains': 'as above: what is to be drained when they come',
  'runtime/stray-failures.ts watching':
    'a process has one pair of failure events: the listeners are there while somebody needs them',
  'stores/sqlite/tx.ts inserters':
    "statements on a caller's connection, which knows nothing of its Offstage; they go with it",
  'runtime/stray-failures.ts origins': 'whose code runs: an AsyncLocalStorage must be one for all',
}

const sorted = (names: readonly string[]) => [...names].sort()

describe('the sources keep to the architecture', () => {
  test('there are sources to look at', () => expect(sources.length).toBeGreaterThan(20))
  test('imports follow the table', () => expect(rules.importTable(sources)).toEqual([]))
  test('no index.ts is imported from inside', () => expect(rules.barrels(sources)).toEqual([]))
  test('there is no import circle', () => expect(rules.circles(sources)).toEqual([]))
  test('importing the package loads no store, no thread, no server', () =>
    expect(rules.lightEntry(sources)).toEqual([]))
  test('files keep to their budget', () => expect(rules.fileBudget(sources)).toEqual([]))
  test('the median file is below 100 lines', () => {
    console.log(`${sources.length} files in src/, median ${rules.median(sources)} lines`)
    expect(rules.median(sources)).toBeLessThan(100)
  })
  test('functions above 40 lines are those of the list', () =>
    expect(sorted(rules.longFunctions(sources))).toEqual(sorted(Object.keys(LONG_FUNCTIONS))))
  test('SQL is written in stores/*/sql/ only', () => expect(rules.sqlOutside(sources)).toEqual([]))
  test('there is no any', () => expect(rules.anys(sources)).toEqual([]))
  test('modules hold no state but that of the list', () =>
    expect(sorted(rules.moduleState(sources))).toEqual(sorted(Object.keys(MODULE_STATE))))
  test('every exception gives its reason on its line', () => expect(rules.unexplained(sources)).toEqual([]))
  test('time and signals have one place each', () => expect(rules.worldOutside(sources)).toEqual([]))
  test('refused words are no names', () => expect(rules.refusedWords(sources)).toEqual([]))
})

describe('the public names are one list', () => {
  const { exports } = JSON.parse(readText('package.json')) as {
    exports: Record<string, string | { types: string; default: string }>
  }
  const subpaths = rules.publicSubpaths(sources)

  test('package.json exports the public files, built, and nothing else', () => {
    const built = Object.entries(subpaths).map(([subpath, path]) => {
      const file = `./dist/${path.replace(/\.ts$/, '')}`
      return [subpath, { types: `${file}.d.ts`, default: `${file}.js` }]
    })
    expect(exports).toEqual({ ...Object.fromEntries(built), './package.json': './package.json' })
  })

  test('the type check resolves each to its source', () => {
    const json = readText('tsconfig.json').replaceAll(/^\s*\/\/.*$/gm, '')
    const { compilerOptions } = JSON.parse(json) as { compilerOptions: { paths: Record<string, string[]> } }
    const paths = Object.entries(subpaths).map(([subpath, path]) => [
      subpath.replace('.', 'offstage'),
      [`./src/${path}`],
    ])
    expect(compilerOptions.paths).toEqual(Object.fromEntries(paths))
  })
})

describe('each rule finds what it forbids', () => {
  const source = (path: string, ...lines: string[]): Source => readSource(path, `${lines.join('\n')}\n`)
  const finds = (rule: rules.Rule, ...sample: Source[]) => rule(sample)

  test.each<[string, string]>([
    ['core/run.ts', `import { x } from '../runtime/perform.ts'`],
    ['core/run.ts', `import type { X } from '../runtime/perform.ts'`],
    ['core/run.ts', `import { readFile } from 'node:fs'`],
    ['core/run.ts', `export * from '../http/index.ts'`],
    ['runtime/perform.ts', `export type { X } from '../durable/worker.ts'`],
    ['runtime/perform.ts', `const late = () => import('../threads/pool.ts')`],
    ['detached/detached.ts', `import { x } from 'croner'`],
    ['detached/detached.ts', `import { x } from '../flow/step.ts'`],
    ['threads/pool.ts', `import type { Store } from '../stores/store.ts'`],
    ['stores/store.ts', `import { x } from '../core/run.ts'`],
    ['stores/memory/store.ts', `import { x } from '../sqlite/rows.ts'`],
    ['stores/sqlite/store.ts', `import { x } from '../../durable/ledger.ts'`],
    ['stores/open.ts', `import { x } from './sqlite/index.ts'`],
    ['durable/worker.ts', `import { x } from '../stores/store.ts'`],
    ['durable/worker.ts', `import type { X } from '../stores/memory/store.ts'`],
    ['durable/worker.ts', `import type { X } from '../threads/executor.ts'`],
    ['http/handler.ts', `import { x } from './adapters/node.ts'`],
    ['http/adapters/node.ts', `import { x } from '../../runtime/drain.ts'`],
    ['offstage.ts', `import { x } from './threads/executor.ts'`],
    ['offstage.ts', `import { x } from './stores/open.ts'`],
    ['index.ts', `export { x } from './detached/live-runs.ts'`],
    ['core/run.ts', `import { x } from './task.js'`],
    ['durable/worker.ts', `const late = (url: string) => import(url)`],
    ['drawer/things.ts', `export const x = 1`],
  ])('the import table: %s, %s', (path, line) => {
    expect(finds(rules.importTable, source(path, line))).toHaveLength(1)
  })

  test.each<[string, string]>([
    ['runtime/registry.ts', `const load = (url: string) => import(url)`],
    ['core/claim.ts', `import { createHash } from 'node:crypto'`],
    ['durable/worker.ts', `import type { Store } from '../stores/store.ts'`],
    ['stores/open.ts', `const late = () => import('./sqlite/index.ts')`],
    ['engine.ts', `const late = () => import('./threads/executor.ts')`],
    ['http/adapters/node.ts', `import { x } from '../node-bridge.ts'`],
    ['core/run.ts', `// import { x } from '../runtime/perform.ts'`],
  ])('… and lets pass: %s, %s', (path, line) => {
    expect(finds(rules.importTable, source(path, line))).toEqual([])
  })

  test('an index.ts imported from inside', () => {
    expect(finds(rules.barrels, source('http/accepted.ts', `import { x } from './index.ts'`))).toHaveLength(1)
  })

  test('a circle, of types too', () => {
    const sample = [
      source('core/a.ts', `import type { B } from './b.ts'`),
      source('core/b.ts', `import { c } from './c.ts'`),
      source('core/c.ts', `export * from './a.ts'`),
    ]
    expect(rules.circles(sample)).toEqual(['core/a.ts → core/b.ts → core/c.ts → core/a.ts'])
  })

  test('an entry that loads a driver', () => {
    const sample = [
      source('index.ts', `export * from './offstage.ts'`),
      source('offstage.ts', `import { x } from './core/x.ts'`, `import type { Y } from './threads/pool.ts'`),
      source('core/x.ts', `import { DatabaseSync } from 'node:sqlite'`),
    ]
    expect(rules.lightEntry(sample)).toEqual(['importing the package loads node:sqlite'])
  })

  test.each([
    ['core/run.ts', 301],
    ['offstage.ts', 151],
    ['http/adapters/node.ts', 61],
  ])('a file above its budget: %s, %i lines', (path, lines) => {
    expect(finds(rules.fileBudget, source(path, ...Array<string>(lines - 1).fill('')))).toEqual([])
    expect(finds(rules.fileBudget, source(path, ...Array<string>(lines).fill('')))).toHaveLength(1)
  })

  test.each([
    ['function f() {', '}', 'f'],
    ['const g = async () => {', '}', 'g'],
    ['class C { method() {', '} }', 'method'],
    ['const o = { member: () => {', '} }', 'member'],
  ])('a function above 40 lines: %s', (head, tail, name) => {
    const body = (lines: number) => ['// not counted', head, ...Array<string>(lines - 2).fill('x()'), '', tail]
    expect(finds(rules.longFunctions, source('core/run.ts', ...body(40)))).toEqual([])
    expect(finds(rules.longFunctions, source('core/run.ts', ...body(41)))).toEqual([`core/run.ts ${name}`])
  })

  test.each([
    'db.exec(`select *\n from runs`)',
    `run('INSERT INTO runs values (?)')`,
    'q(`update ${table} set state = 1`)',
    `run('delete from runs')`,
    `run('create unique index i on runs (id)')`,
    `run('PRAGMA journal_mode = wal')`,
  ])('SQL outside its folder: %s', (line) => {
    expect(finds(rules.sqlOutside, source('stores/sqlite/write.ts', line))).toHaveLength(1)
    expect(finds(rules.sqlOutside, source('stores/sqlite/sql/writes.ts', line))).toEqual([])
  })

  test.each([`say('run not found; select another')`, `// select * from runs`])('… but not prose: %s', (line) => {
    expect(finds(rules.sqlOutside, source('durable/worker.ts', line))).toEqual([])
  })

  test('any', () => {
    expect(finds(rules.anys, source('core/run.ts', 'export const x: Record<string, any> = {}'))).toHaveLength(1)
    expect(finds(rules.anys, source('core/run.ts', '// any', `const any = 'any'`))).toEqual([])
  })

  test.each([
    'let count = 0',
    'export let count = 0',
    'const seen = new Map()',
    'const list = []',
    'class C { static n = 0 }',
  ])('module state: %s', (line) => expect(finds(rules.moduleState, source('core/run.ts', line))).toHaveLength(1))

  test.each([
    'const TABLE = new Map([[1, 2]])',
    'function f() { let n = 0; return n }',
    'class C { static readonly N = 1 }',
  ])('… but not: %s', (line) => expect(finds(rules.moduleState, source('core/run.ts', line))).toEqual([]))

  test.each(['void f()', '// oxlint-disable-next-line no-console', '// @ts-expect-error'])(
    'no reason given: %s',
    (line) => {
      expect(finds(rules.unexplained, source('core/run.ts', line))).toHaveLength(1)
    },
  )

  test.each([
    'void f() // its failure is told on the channel',
    '// oxlint-disable-next-line no-console -- the logger of last resort',
    '// @ts-expect-error no types for this global',
    'function f(): void {}',
  ])('a reason given: %s', (line) => expect(finds(rules.unexplained, source('core/run.ts', line))).toEqual([]))

  test('time and signals outside their place', () => {
    const lines = ['const now = new Date()', 'const then = new Date(0)', 'process.kill(1)']
    expect(finds(rules.worldOutside, source('durable/worker.ts', ...lines))).toHaveLength(2)
    expect(finds(rules.worldOutside, source('runtime/world.ts', ...lines))).toEqual([])
    expect(finds(rules.worldOutside, source('stores/sqlite/liveness.ts', ...lines))).toHaveLength(1)
  })

  test.each(['const jobId = 1', 'class RunLease {}', 'const x = { fast_lane: 1 }', 'this.#lanes', 'type Jobs = 1'])(
    'refused word: %s',
    (line) => expect(finds(rules.refusedWords, source('core/run.ts', line)).length).toBeGreaterThan(0),
  )

  test('… but not a part of one', () => {
    const lines = ['const released = 1', 'const planes = 2', `const text = 'job'`]
    expect(finds(rules.refusedWords, source('core/run.ts', ...lines))).toEqual([])
    expect(finds(rules.refusedWords, source('core/job.ts', 'export {}'))).toHaveLength(1)
  })
})

import { posix } from 'node:path'
import { COMPUTED, type Import, type Source } from './source.ts'

/** A rule takes all sources and returns its findings as sentences; none means it holds. */
export type Rule = (sources: readonly Source[]) => readonly string[]

interface Row {
  /** Folders and files of this table, besides its own. */
  readonly may: readonly string[]
  /** These by `import type` only. */
  readonly types?: readonly string[]
  /** These by `import()` only, when first needed; `import type` is free. */
  readonly lazy?: readonly string[]
  /** Of the platform; everything with `node:` where not said. */
  readonly platform?: readonly string[]
  /** Nothing is left of the file after compilation. */
  readonly erased?: true
}

/** Who may import whom: the table of ARCHITECTURE.md. The longest name that fits a file is its row. */
export const TABLE: Readonly<Record<string, Row>> = {
  core: { may: [], platform: ['node:crypto'] },
  runtime: { may: ['core'] },
  flow: { may: ['core', 'runtime'] },
  detached: { may: ['core', 'runtime'] },
  threads: { may: ['core', 'runtime', 'flow'] },
  'stores/records.ts': { may: ['core'], platform: [], erased: true },
  'stores/store.ts': { may: ['core', 'stores/records.ts'], platform: [], erased: true },
  'stores/memory': { may: ['core', 'runtime', 'stores/store.ts'] },
  'stores/sqlite': { may: ['core', 'runtime', 'stores/store.ts'] },
  'stores/open.ts': { may: ['core', 'stores/store.ts'], lazy: ['stores/memory', 'stores/sqlite'] },
  durable: { may: ['core', 'runtime', 'flow'], types: ['stores/store.ts'] },
  http: { may: ['core', 'runtime'] },
  'http/adapters': { may: ['core', 'http'] },
  telemetry: { may: ['core', 'runtime'] },
  'api.ts': { may: ['core', 'runtime', 'detached', 'http', 'stores/store.ts'], erased: true },
  'engine.ts': {
    may: ['core', 'runtime', 'detached', 'durable'],
    types: ['stores/store.ts'],
    lazy: ['threads', 'stores/open.ts'],
  },
  'offstage.ts': { may: ['core', 'runtime', 'detached', 'http', 'telemetry/log-lines.ts', 'api.ts', 'engine.ts'] },
  'index.ts': { may: ['core', 'offstage.ts', 'api.ts'] },
  testing: {
    may: [
      'core',
      'runtime',
      'flow',
      'detached',
      'threads',
      'durable',
      'http',
      'stores/store.ts',
      'stores/memory',
      'offstage.ts',
    ],
  },
}

const isWithin = (path: string, name: string) => path === name || path.startsWith(`${name}/`)
const rowOf = (path: string) =>
  Object.keys(TABLE)
    .filter((name) => isWithin(path, name))
    .sort((a, b) => b.length - a.length)[0]
const target = (from: Source, { from: specifier }: Import) => posix.join(posix.dirname(from.path), specifier)

export const importTable: Rule = (sources) =>
  sources.flatMap((source) => {
    const name = rowOf(source.path)
    const row = name === undefined ? undefined : TABLE[name]
    if (!row) return [`${source.path} has no row in the import table`]
    const refused = source.imports.filter((one) => !isAllowed({ source, name, row, one }))
    return refused.map((one) => `${source.path}:${one.line} may not import ${one.from} (${one.how})`)
  })

function isAllowed({
  source,
  name,
  row,
  one,
}: {
  source: Source
  name: string | undefined
  row: Row
  one: Import
}): boolean {
  if (row.erased && one.how !== 'type') return false
  if (one.from === COMPUTED) return source.path === 'runtime/registry.ts' // the user's tasks module
  if (!one.from.startsWith('.')) return one.from.startsWith('node:') && (row.platform?.includes(one.from) ?? true)
  const path = target(source, one)
  if (!path.endsWith('.ts')) return false
  const fits = (names: readonly string[] = []) =>
    names.some((allowed) => isWithin(path, allowed) && fitsRow(path, allowed))
  return (
    rowOf(path) === name ||
    fits(row.may) ||
    (one.how === 'type' && (fits(row.types) || fits(row.lazy))) ||
    (one.how === 'lazy' && fits(row.lazy))
  )
}

/** 'http' does not open 'http/adapters': a row below the allowed one must be named itself. */
const fitsRow = (path: string, allowed: string) => {
  const row = rowOf(path)
  return row === undefined || row.length <= allowed.length
}

/** Barrels are how circles close. `stores/open.ts` loads a store by its public door, and by import() alone. */
export const barrels: Rule = (sources) =>
  sources.flatMap((source) =>
    source.imports
      .filter(
        (one) => posix.basename(one.from) === 'index.ts' && !(source.path === 'stores/open.ts' && one.how === 'lazy'),
      )
      .map((one) => `${source.path}:${one.line} imports ${one.from}: name the file`),
  )

/** All imports count, those of types too: a circle of types is a folder that cannot be read on its own. */
export const circles: Rule = (sources) => {
  const edges = new Map(
    sources.map((source) => [
      source.path,
      source.imports.filter((one) => one.from.startsWith('.')).map((one) => target(source, one)),
    ]),
  )
  const done = new Set<string>()
  const found: string[] = []
  const walk = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) found.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
    if (trail.includes(path) || done.has(path)) return
    for (const next of edges.get(path) ?? []) walk(next, [...trail, path])
    done.add(path)
  }
  for (const path of edges.keys()) walk(path, [])
  return found
}

/** What `import 'offstage'` loads at once, without what is loaded when first needed. */
export function loadedWith(entry: string, sources: readonly Source[]): ReadonlySet<string> {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  const loaded = new Set<string>()
  const load = (path: string): void => {
    const source = byPath.get(path)
    if (loaded.has(path)) return
    loaded.add(path)
    for (const one of source?.imports ?? []) {
      if (one.how === 'value') load(source && one.from.startsWith('.') ? target(source, one) : one.from)
    }
  }
  load(entry)
  return loaded
}

export const lightEntry: Rule = (sources) =>
  [...loadedWith('index.ts', sources)]
    .filter((path) => path === 'node:sqlite' || path === 'node:http' || /^(?:threads|stores)\//.test(path))
    .map((path) => `importing the package loads ${path}`)

const fileBound = (path: string) => {
  if (path === 'offstage.ts') return 150
  return path.startsWith('http/adapters/') ? 60 : 300
}
export const fileBudget: Rule = (sources) =>
  sources
    .filter(({ path, lines }) => lines > fileBound(path))
    .map(({ path, lines }) => `${path} has ${lines} lines, ${fileBound(path)} are allowed`)

export const median = (sources: readonly Source[]): number => {
  const sizes = sources.map((source) => source.lines).sort((a, b) => a - b)
  return sizes[Math.floor(sizes.length / 2)] ?? 0
}

/** Above 40 lines; the hard stop at 70 is the linter's. */
export const longFunctions: Rule = (sources) =>
  sources.flatMap(({ path, functions }) =>
    functions.filter(({ lines }) => lines > 40).map(({ name }) => `${path} ${name}`),
  )

const SQL =
  /\b(?:select\b.+\bfrom\b|insert\s+(?:or\s+\w+\s+)?into|update\s+[\w?.]+\s+set|delete\s+from|create\s+(?:unique\s+)?(?:table|index)|(?:alter|drop)\s+table|begin\s+immediate|pragma\s+\w+)\b/is
export const sqlOutside: Rule = (sources) =>
  sources
    .filter(({ path }) => !/^stores\/[^/]+\/sql\//.test(path))
    .flatMap(({ path, texts }) =>
      texts.filter(({ text }) => SQL.test(text)).map(({ line }) => `${path}:${line} holds SQL`),
    )

export const anys: Rule = (sources) =>
  sources.flatMap((source) => source.anys.map(({ line }) => `${source.path}:${line} says any`))

export const moduleState: Rule = (sources) =>
  sources.flatMap((source) => source.moduleState.map(({ text }) => `${source.path} ${text}`))

export const unexplained: Rule = (sources) =>
  sources.flatMap(({ path, unexplained }) =>
    unexplained.map(({ text, line }) => `${path}:${line} gives no reason on its line: ${text}`),
  )

const ownsTime = (path: string) => path === 'runtime/world.ts' || path.startsWith('client/')
/** Other processes are asked for by a `liveness.ts`; world.ts ends this one. */
const mayKill = (path: string) => posix.basename(path) === 'liveness.ts' || path === 'runtime/world.ts'
/** What the linter cannot say (`new Date()`), and process.kill under whatever name `process` has. */
export const worldOutside: Rule = (sources) =>
  sources.flatMap(({ path, calls }) =>
    calls
      .filter(({ text }) => (text === 'new Date()' && !ownsTime(path)) || (text === 'process.kill' && !mayKill(path)))
      .map(({ text, line }) => `${path}:${line} uses ${text}`),
  )

const REFUSED_WORDS = new Set([
  'job',
  'jobs',
  'lease',
  'leases',
  'leased',
  'lane',
  'lanes',
  'util',
  'utils',
  'helper',
  'helpers',
])
const words = (name: string) =>
  name.split(/[^A-Za-z]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/).map((word) => word.toLowerCase())
const isRefused = (name: string) => words(name).some((word) => REFUSED_WORDS.has(word))
export const refusedWords: Rule = (sources) =>
  sources.flatMap(({ path, names }) => [
    ...(isRefused(path) ? [`${path}: the file's own name`] : []),
    ...names.filter(({ text }) => isRefused(text)).map(({ text, line }) => `${path}:${line} ${text}`),
  ])

/** Every public subpath there may be; package.json exports those whose file exists, and nothing else. */
export const PUBLIC: Readonly<Record<string, string>> = {
  '.': 'index.ts',
  './queue': 'detached/queue.ts',
  './memory': 'stores/memory/index.ts',
  './sqlite': 'stores/sqlite/index.ts',
  './postgres': 'stores/postgres/index.ts',
  './drizzle': 'stores/drizzle.ts',
  './http': 'http/index.ts',
  ...Object.fromEntries(
    ['node', 'hono', 'fastify', 'express', 'koa', 'next', 'nest'].map((name) => [
      `./${name}`,
      `http/adapters/${name}.ts`,
    ]),
  ),
  './client': 'client/index.ts',
  './dashboard': 'dashboard/index.ts',
  './metrics': 'telemetry/metrics.ts',
  './otel': 'telemetry/otel.ts',
  './webhooks': 'webhooks/index.ts',
  './testing': 'testing/index.ts',
  './testing/store-contract': 'testing/store-contract/index.ts',
}

export const publicSubpaths = (sources: readonly Source[]): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(PUBLIC).filter(([, path]) => sources.some((source) => source.path === path)))

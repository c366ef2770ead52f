import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createOffstage, task, type OffstageOptions } from 'offstage'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pages as generatedPages } from '../scripts/generate-docs.mjs'
import { CATALOGUE, type ErrorCode } from '../src/core/errors.ts'
import { coded } from '../src/http/problem.ts'
import { TABLE } from './architecture/rules.ts'
import {
  anchorsOf,
  brokenLinks,
  fileOf,
  pagePaths,
  parsePage,
  readPage,
  root,
  stagesOf,
  type Stage,
} from './docs/markdown.ts'
import { Terminal } from './docs/terminal.ts'

const pages = pagePaths().map(readPage)
const pageAt = (path: string) => pages.find((page) => page.path === path)!
const README = pageAt('README.md')
const ARCHITECTURE = pageAt('ARCHITECTURE.md')
const TUTORIAL = pageAt('docs/tutorial/README.md')

describe('links', () => {
  test.each(pages)('of $path lead somewhere', (page) => expect(brokenLinks(page)).toEqual([]))

  test.each(['[a](docs/nothing.md)', '[a](README.md#no-such-heading)', '[a](#no-such-heading)'])(
    'a broken one is found: %s',
    (text) => {
      expect(brokenLinks(parsePage('NEW.md', text))).toHaveLength(1)
    },
  )
  test.each([
    '[a](README.md)',
    '[a](docs/glossary.md#words-about-them)',
    '[a](https://example.org/x)',
    '```\n[a](nothing.md)\n```',
  ])('… but not %s', (text) => expect(brokenLinks(parsePage('NEW.md', text))).toEqual([]))
})

describe('the generated pages', () => {
  const generated = generatedPages()

  test.each(Object.entries(generated))('%s is what `npm run docs` makes', (path, text) => {
    expect(readFileSync(join(root, path), 'utf8'), 'run: npm run docs').toBe(text)
  })

  test.each(Object.keys(CATALOGUE) as ErrorCode[])('%s has the anchor that a problem names', (code) => {
    const { type } = JSON.parse(String(coded(code, '').body)) as { type: string }
    expect(anchorsOf(pageAt('docs/reference/errors.md'))).toContain(type.split('#')[1])
  })
})

describe('words', () => {
  /** In comparisons with other systems alone: there is none yet. */
  const REFUSED = /\b(?:jobs?|leases?|lanes?)\b/i
  test.each(pages)('of $path', ({ prose }) => expect(REFUSED.exec(prose)?.[0]).toBeUndefined())
})

describe('ARCHITECTURE.md', () => {
  const sourceFiles = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  )

  test('its tree is that of src/', () => {
    const block = ARCHITECTURE.sections.flatMap(({ blocks }) => blocks).find(({ text }) => text.startsWith('src/'))!
    const folders: string[] = []
    const listed = block.text.split('\n').flatMap((line) => {
      const [, indent = '', name = ''] = /^( *)(\S+)/.exec(line) ?? []
      folders.length = indent.length / 2
      folders.push(name)
      return name.endsWith('.ts') ? [folders.slice(1).join('')] : []
    })
    expect(listed.toSorted()).toEqual(sourceFiles.toSorted())
  })

  test('its import table is the one that is checked', () => {
    const names = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name)
    const rows = [...ARCHITECTURE.prose.matchAll(/^\| `([^`]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|$/gm)]
    const table = rows.map(([, folder = '', may = '', types = '', lazy = '']) => [
      folder,
      { may: names(may), types: names(types), lazy: names(lazy) },
    ])
    const checked = Object.entries(TABLE).map(([folder, { may, types = [], lazy = [] }]) => [
      folder,
      { may: [...may], types: [...types], lazy: [...lazy] },
    ])
    expect(Object.fromEntries(table)).toEqual(Object.fromEntries(checked))
  })
})

describe('what CHANGELOG.md calls refused', () => {
  const text = /### Declared, and refused[^\n]*\n([\s\S]*?)\n### /.exec(pageAt('CHANGELOG.md').text)?.[1] ?? ''
  const named = (intro: string): readonly string[] => {
    const item = new RegExp(`Of ${intro}: ([^.]*(?:\\.\\w[^.]*)*)`).exec(text.replaceAll(/\n */g, ' '))?.[1] ?? ''
    return [...item.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
  }
  const nested = (path: string): object =>
    path.split('.').reduceRight<unknown>((value, key) => ({ [key]: value }), 1) as object
  const refused = expect.objectContaining({
    code: 'OFFSTAGE_BAD_OPTION',
    message: expect.stringContaining('is not available in this version') as unknown,
  })

  test.each(named('a task'))('task({ %s })', (name) => {
    expect(() => task({ name: 'x', run: () => {}, [name]: 1 })).toThrow(refused)
  })
  test.each(named('`createOffstage`'))('createOffstage({ %s })', (path) => {
    expect(() => createOffstage(nested(path) as OffstageOptions)).toThrow(refused)
  })
  test.each(named('a start'))('start(task, input, { %s })', async (name) => {
    await using offstage = createOffstage({ shutdown: { signals: false } })
    const plain = task({ name: 'x', run: () => {} })
    await expect(offstage.start(plain, undefined, { [name]: 1 })).rejects.toThrow(refused)
  })
  test('there are such names', () => {
    expect([named('a task').length, named('a start').length, named('`createOffstage`').length]).toEqual([4, 2, 11])
  })
})

test.each(pages.filter(({ text }) => text.includes('.tgz')))('$path names the version there is', ({ text }) => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  for (const [, named] of text.matchAll(/offstage-([\w.-]+)\.tgz/g)) expect(named).toBe(version)
})

describe('TypeScript in the pages', () => {
  let folder = ''
  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'offstage-docs-types-'))))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const write = (path: string, text: string): void => {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  const writeStage = ({ page, blocks, files }: Stage, index: number): void => {
    const at = `${page.replaceAll(/\W/g, '-')}/${index}`
    for (const [file, text] of files) write(`${at}/${file}`, text)
    for (const block of blocks)
      if (block.language === 'ts' && fileOf(block) === undefined)
        write(`${at}/line-${block.line}.ts`, `export {}\n${block.text}`)
  }

  test('compiles, and one that does not is found', { timeout: 60_000 }, () => {
    const options = { noUnusedLocals: false, noEmit: true, typeRoots: [join(root, 'node_modules/@types')] }
    write(
      'tsconfig.json',
      JSON.stringify({
        extends: join(root, 'tsconfig.json'),
        compilerOptions: options,
        include: ['**/*.ts'],
        exclude: [],
      }),
    )
    write('package.json', '{ "type": "module" }')
    write(
      'wrong.ts',
      `import { task } from 'offstage'\nexport const wrong = task({ name: 'x', durable: true, run: (when: Date) => when })`,
    )
    const stages = pages.flatMap((page) =>
      stagesOf(page).filter(({ blocks }) => blocks.some(({ language }) => language === 'ts')),
    )
    for (const [index, stage] of stages.entries()) writeStage(stage, index)
    expect(stages.length).toBeGreaterThan(8)
    const { stdout } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], {
      encoding: 'utf8',
    })
    const errors = stdout.split('\n').filter((line) => /error TS\d+/.test(line))
    expect(errors.filter((line) => line.includes('wrong.ts'))).toHaveLength(1)
    expect(errors.filter((line) => !line.includes('wrong.ts'))).toEqual([])
  })
})

const hasCurl = spawnSync('curl', ['--version']).status === 0

/** What a section shows in its terminal, typed and compared. */
async function readers(stage: Stage, then?: (terminal: Terminal) => Promise<void> | void): Promise<void> {
  await using terminal = await Terminal.open(stage.files)
  const found: string[] = []
  for (const block of stage.blocks) {
    if (block.language === 'console') found.push(...(await terminal.type(block)))
    if (block.language === 'text')
      found.push(...[await terminal.prints(block)].filter((missing) => missing !== undefined))
  }
  expect(found).toEqual([])
  await then?.(terminal)
}

describe.skipIf(!hasCurl).concurrent('programs in the pages, run with curl', { timeout: 60_000 }, () => {
  const shown = pages.flatMap(stagesOf).filter(({ blocks }) => blocks.some(({ language }) => language === 'console'))
  const inSteps = shown.find(({ page, title }) => page === TUTORIAL.path && title.includes('in steps'))!

  test('there are some', () => expect(shown.length).toBeGreaterThan(8))

  test.each(shown.filter((stage) => stage !== inSteps))('$page, $title', (stage) => readers(stage))

  test('the tutorial, durable in steps: no finished step ran twice', () =>
    readers(inSteps, ({ printed }) => {
      const lines = printed.split('\n').filter((line) => /^part \d+ is done$/.test(line))
      expect(new Set(lines).size).toBe(8)
      // The one that ended as the kill came, and was not on disk yet, may be there twice.
      expect(lines.length).toBeLessThanOrEqual(9)
    }))

  test.each(['durable', 'thread'])('the diff of the README: with `%s: true` and all above it', async (last) => {
    const [stage] = stagesOf(README)
    const diff = stage!.blocks.find(({ language }) => language === 'diff')!
    await using terminal = await Terminal.open(stage!.files)
    terminal.write('tasks.ts', patched(stage!.files.get('tasks.ts')!, diff.text, last))
    await terminal.start('server.ts')
    const post = `curl -s localhost:3000/reports -d '{"rows":12}' -H 'content-type: application/json'`
    const { links, durable } = JSON.parse(await terminal.command(post)) as { links: { self: string }; durable: boolean }
    expect(durable).toBe(true)
    const get = `curl -sN localhost:3000${links.self} -H 'accept: text/event-stream'`
    await terminal.command(`${get} | grep -m 1 'event: progress'`)
    await terminal.kill('SIGKILL')
    await terminal.start('server.ts')
    expect(await terminal.command(get)).toMatch(
      /event: done\ndata: .*"state":"succeeded".*"attempt":2.*"result":\{"rows":12\}/,
    )
  })
})

/** The diff's lines put in, up to the one that names `last`. Its unchanged lines must be there. */
function patched(text: string, diff: string, last: string): string {
  const lines = diff.split('\n')
  const context = lines.filter((line) => line.startsWith(' ')).map((line) => line.slice(1))
  const added = lines.filter((line) => line.startsWith('+')).map((line) => line.slice(1))
  const place = context.join('\n')
  expect(text).toContain(place)
  const upTo = added.findIndex((line) => line.includes(last)) + 1
  expect(upTo).toBeGreaterThan(0)
  return text.replace(place, [place, ...added.slice(0, upTo)].join('\n'))
}

test('the folders of docs/ are the four kinds', () => {
  const entries = readdirSync(join(root, 'docs'))
  expect(entries.filter((entry) => entry !== 'images').toSorted()).toEqual([
    'explanation',
    'glossary.md',
    'how-to',
    'reference',
    'tutorial',
  ])
  expect(existsSync(join(root, 'docs/tutorial/README.md'))).toBe(true)
})

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** A fenced block of a page. */
export interface Block {
  readonly language: string
  readonly text: string
  readonly line: number
}
/** A heading, what stands under it before the next one, and what stands under that. */
export interface Section {
  readonly title: string
  readonly blocks: readonly Block[]
}
export interface Page {
  /** From the root. */
  readonly path: string
  readonly text: string
  /** Without its fenced blocks. */
  readonly prose: string
  readonly sections: readonly Section[]
}

export const pagePaths = (): readonly string[] =>
  [
    ...readdirSync(root),
    ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((path) => `docs/${path}`),
  ]
    .filter((path) => path.endsWith('.md'))
    .sort()

export const readPage = (path: string): Page => parsePage(path, readFileSync(join(root, path), 'utf8'))

export function parsePage(path: string, text: string): Page {
  const sections: { title: string; blocks: Block[] }[] = [{ title: '', blocks: [] }]
  const prose: string[] = []
  let block: { language: string; lines: string[]; line: number } | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const [, language] = /^```(\w*)$/.exec(line) ?? []
    const [, title] = /^## (.+)$/.exec(line) ?? []
    if (block !== undefined && line === '```') {
      sections.at(-1)?.blocks.push({ language: block.language, line: block.line, text: block.lines.join('\n') })
      block = undefined
    } else if (block !== undefined) block.lines.push(line)
    else if (language !== undefined) block = { language, lines: [], line: index + 1 }
    else {
      if (title !== undefined) sections.push({ title, blocks: [] })
      prose.push(line)
    }
  }
  return { path, text, prose: prose.join('\n'), sections }
}

/** The file that a block is, by its first line: `// tasks.ts` or `<!-- page.html -->`. */
export const fileOf = ({ text }: Block): string | undefined =>
  /^(?:\/\/|<!--) (\S+\.\w+)(?: -->)?$/m.exec(text.split('\n', 1)[0] ?? '')?.[1]

/** A section as a reader has it in front of him: its blocks, and the files of the page so far, each as it was last. */
export interface Stage extends Section {
  readonly page: string
  readonly files: ReadonlyMap<string, string>
}
export function stagesOf(page: Page): readonly Stage[] {
  const files = new Map<string, string>()
  return page.sections.map((section) => {
    for (const block of section.blocks) {
      const file = fileOf(block)
      if (file !== undefined) files.set(file, block.text)
    }
    return { ...section, page: page.path, files: new Map(files) }
  })
}

/** What a code host makes of a heading. */
export const anchorOf = (heading: string): string =>
  heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

export const anchorsOf = ({ prose }: Page): readonly string[] =>
  [...prose.matchAll(/^#{1,6} (.+)$/gm)].map(([, title = '']) => anchorOf(title))

/** Each relative link that leads nowhere, as a sentence. */
export const brokenLinks = (page: Page): readonly string[] =>
  [...page.prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = '']) => link)
    .filter((link) => !/^[a-z]+:/.test(link))
    .flatMap((link) => {
      const [path = '', anchor] = link.split('#', 2)
      const target = path === '' ? page.path : join(dirname(page.path), path)
      if (!existsSync(join(root, target))) return [`${page.path} links to ${link}: there is no ${target}`]
      if (anchor === undefined || anchorsOf(path === '' ? page : readPage(target)).includes(anchor)) return []
      return [`${page.path} links to ${link}: ${target} has no such heading`]
    })

import { isUtf8 } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { ColumnCounter, csvOf, type Columns, type Csv } from './columns.ts'
import { WordCounter, type WordCounts } from './words.ts'

/** Bytes from `start` to before `end`. */
export interface Section {
  readonly start: number
  readonly end: number
}

export interface Plan {
  readonly size: number
  readonly kind: 'empty' | 'text' | 'csv' | 'binary'
  readonly csv: Csv | null
  /** None where there are no lines and words to count. */
  readonly sections: readonly Section[]
}

/** What one section holds, as small JSON: a step's result. */
export interface Part {
  readonly newlines: number
  /** The last line has no line break behind it. */
  readonly open: boolean
  readonly words: WordCounts
  readonly columns: Columns | null
}

/** Looked at in one go: enough to tell text from other bytes, and to find the end of a line. */
const LOOK = 64 * 1024
const SMALLEST_SECTION = 256 * 1024
const MOST_SECTIONS = 40
/** A longer line is taken in pieces: memory stays bounded, and the event loop is not held for longer than some milliseconds. */
const LONGEST_LINE = 256 * 1024

/** How the file is going to be read. Sections end where a line ends, so that no line, word or character is cut in two. */
export async function planOf(path: string, name: string): Promise<Plan> {
  const { size } = await stat(path)
  if (size === 0) return { size, kind: 'empty', csv: null, sections: [] }
  await using file = await open(path)
  const look = async (at: number): Promise<Buffer> => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LOOK), 0, LOOK, at)
    return buffer.subarray(0, bytesRead)
  }
  const head = await look(0)
  if (!isText(head)) return { size, kind: 'binary', csv: null, sections: [] }
  const csv = /\.[ct]sv$/i.test(name) ? csvOf(withoutMark(head.toString()).split(/\r?\n/, 1)[0] ?? '') : null
  const count = Math.min(MOST_SECTIONS, Math.ceil(size / SMALLEST_SECTION))
  const sections: Section[] = []
  let start = 0
  for (let index = 1; index <= count; index++) {
    const end = index === count ? size : await lineEnd(look, Math.floor((size / count) * index))
    if (end > start) sections.push({ start, end })
    start = Math.max(start, end)
  }
  return { size, kind: csv === null ? 'text' : 'csv', csv, sections }
}

/** Where no line ends nearby, a word will do. */
async function lineEnd(look: (at: number) => Promise<Buffer>, at: number): Promise<number> {
  const near = await look(at)
  return at + (near.indexOf('\n') + 1 || near.indexOf(' ') + 1)
}

/** No NUL, and UTF-8; the last character may have been cut off. */
const isText = (head: Buffer): boolean =>
  !head.includes(0) && [0, 1, 2, 3].some((cut) => isUtf8(head.subarray(0, head.length - cut)))

const withoutMark = (text: string): string => (text.startsWith('\uFEFF') ? text.slice(1) : text)

export async function readSection(
  path: string,
  { start, end }: Section,
  { csv, signal }: { csv: Csv | null; signal: AbortSignal },
): Promise<Part> {
  const words = new WordCounter()
  const columns = csv === null ? undefined : new ColumnCounter(csv)
  let [newlines, open, isHeader] = [0, false, start === 0]
  const stream = createReadStream(path, { start, end: end - 1, encoding: 'utf8', signal })
  for await (const text of wholeLines(stream)) {
    const lines = text.split('\n')
    newlines += lines.length - 1
    open = !text.endsWith('\n')
    words.add(text)
    if (columns !== undefined)
      for (const line of isHeader ? lines.slice(1) : lines) columns.add(line.replace(/\r$/, ''))
    isHeader = false
  }
  return { newlines, open, words: words.end(), columns: columns?.end() ?? null }
}

/** The stream's text in pieces that end where a line ends. */
async function* wholeLines(stream: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let rest = ''
  for await (const chunk of stream) {
    const text = rest + chunk
    const end =
      text.lastIndexOf('\n') + 1 || (text.length > LONGEST_LINE ? text.lastIndexOf(' ') + 1 || text.length : 0)
    rest = text.slice(end)
    if (end > 0) yield text.slice(0, end)
  }
  if (rest !== '') yield rest
}

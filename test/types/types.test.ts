import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const lines = readFileSync(new URL('./bad.ts', import.meta.url), 'utf8').split('\n')

interface Statement {
  readonly first: number
  readonly last: number
  readonly text: string
}
/** A statement begins where a line does, and goes on to the next. */
const starts = lines.flatMap((line, index) => (/^[a-z]/.test(line) ? [index + 1] : []))
const statements: readonly Statement[] = starts.map((first, index) => {
  const last = (starts[index + 1] ?? lines.length + 1) - 1
  return {
    first,
    last,
    text: lines
      .slice(first - 1, last)
      .join(' ')
      .replaceAll(/\s+/g, ' ')
      .trim(),
  }
})
/** Those that must not compile: all that follow the declarations, save the last, which only uses what is there. */
const marked = statements.filter(({ text }) => /^(?:task\(|schedule\(|void offstage\.|const wrong)/.test(text))
/** Those whose message must be one that was written for it. */
const spoken = marked.filter(({ text }) => /durable: (?:true|Math)/.test(text) && !text.includes('ctx.step'))

interface Fault {
  readonly file: string
  readonly line: number
  readonly words: string
}
const within =
  ({ first, last }: Statement) =>
  ({ file, line }: Fault): boolean =>
    file === 'bad.ts' && line >= first && line <= last

/** What the compiler says: file and line, and the words, those of the indented lines below included. */
function compiled(project: string): Promise<readonly Fault[]> {
  const tsc = [here('../../node_modules/typescript/bin/tsc'), '--project', here(project), '--pretty', 'false']
  return new Promise((resolve) => {
    execFile(process.execPath, tsc, { cwd: here('.') }, (_, output) => {
      const found = output.split(/\n(?! )/).flatMap((words) => {
        const [, file = '', line] = /^([^(\n]+)\((\d+),\d+\): error /.exec(words) ?? []
        return words.trim() === '' ? [] : [{ file, line: Number(line), words }]
      })
      resolve(found)
    })
  })
}

describe.each([
  ['the sources', 'tsconfig.json'],
  ['the published declarations', 'tsconfig.declarations.json'],
])('against %s', (_, project) => {
  let faults: readonly Fault[] = []
  beforeAll(async () => {
    faults = await compiled(project)
  }, 60_000)

  test('whatever must compile compiles', () => {
    expect(faults.length).toBeGreaterThan(0) // it was compiled at all
    expect(faults.filter(({ file }) => file === 'good.ts')).toEqual([])
  })

  test('nothing fails that is not marked', () => {
    const isMarked = (fault: Fault): boolean => marked.some((statement) => within(statement)(fault))
    expect(faults.filter((fault) => fault.file === 'bad.ts' && !isMarked(fault))).toEqual([])
  })

  test.each(marked.map((statement) => [statement.text, statement] as const))(
    'must not compile: %s',
    (_text, statement) => {
      expect(faults.some(within(statement))).toBe(true)
    },
  )

  test.each(spoken.map((statement) => [statement.text, statement] as const))(
    'says that it must be JSON: %s',
    (_text, statement) => {
      const words = faults
        .filter(within(statement))
        .map((fault) => fault.words)
        .join()
      expect(words).toMatch(/durable: the (?:input|result) must be JSON/)
      expect(words).toContain('not JSON')
    },
  )
})

test('as many statements are marked as there are cases', () => {
  expect([marked.length, spoken.length]).toEqual([27, 11])
  expect(readFileSync(new URL('./good.ts', import.meta.url), 'utf8')).toContain("from 'offstage'")
})

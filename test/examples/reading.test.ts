import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { columnsOf, csvOf, ColumnCounter } from '../../examples/file-report/columns.ts'
import { planOf, readSection, type Part } from '../../examples/file-report/reading.ts'
import { mostFrequent, WordCounter } from '../../examples/file-report/words.ts'
import { folder } from './command.ts'

const never = new AbortController().signal

async function partsOf(content: string | Buffer, name = 'file.txt') {
  const path = join(folder(), name)
  writeFileSync(path, content)
  const plan = await planOf(path, name)
  const parts: Part[] = []
  for (const section of plan.sections) parts.push(await readSection(path, section, { csv: plan.csv, signal: never }))
  return { plan, parts, words: parts.reduce((sum, part) => sum + part.words.words, 0) }
}

test('sections cut no line, no word and no character in two', async () => {
  const lines = Array.from({ length: 60_000 }, (_, n) => `Zeile ${n} – größer, 漢字 und ’s`)
  const { plan, parts, words } = await partsOf(lines.join('\n'))
  expect(plan.sections.length).toBeGreaterThan(5)
  expect(plan.sections.map(({ start }) => start)).toEqual([0, ...plan.sections.map(({ end }) => end)].slice(0, -1))
  expect(plan.sections.at(-1)?.end).toBe(plan.size)
  expect(parts.reduce((sum, part) => sum + part.newlines, 0)).toBe(lines.length - 1)
  expect(parts.at(-1)?.open).toBe(true)
  expect(words).toBe(lines.length * 6)
  const frequent = new Map(
    mostFrequent(
      parts.map((part) => part.words),
      5,
    ).map(({ word, count }) => [word, count]),
  )
  expect(frequent.get('größer')).toBe(lines.length)
})

test('a file that is one long line is read in pieces', async () => {
  const { plan, words } = await partsOf('word '.repeat(400_000))
  expect(plan.sections.length).toBeGreaterThan(5)
  expect(words).toBe(400_000)
  const { parts } = await partsOf('x'.repeat(2_000_000)) // not even a space
  expect(parts.every((part) => JSON.stringify(part).length < 1_000)).toBe(true)
})

test.each([
  ['NUL', Buffer.from('a\0b')],
  ['what is not UTF-8', Buffer.from([0x61, 0xff, 0xfe, 0x62, 0x63, 0x64])],
])('a file with %s is binary', async (_, content) => {
  expect((await partsOf(content)).plan).toMatchObject({ kind: 'binary', sections: [] })
})

test('a character cut off by the first look does not make a file binary', async () => {
  expect((await partsOf(`${'a'.repeat(64 * 1024 - 1)}漢`)).plan.kind).toBe('text')
})

test('a lot of different words needs no more than a bounded table, and the count says what it does not know', () => {
  const counter = new WordCounter()
  for (let n = 0; n < 160_000; n += 100)
    counter.add(`often ${Array.from({ length: 100 }, (_, i) => `w${n + i}`).join(' ')}`)
  const counts = counter.end()
  expect(counts.words).toBe(161_600)
  expect(counts.table.length).toBe(500)
  expect(JSON.stringify(counts).length).toBeLessThan(20_000)
  const [first, second] = mostFrequent([counts, counts], 2)
  expect(first).toEqual({ word: 'often', count: 3_200, atMost: 3_200 })
  expect(second?.atMost).toBeGreaterThan(second?.count ?? 0)
})

test('true counts lie between `count` and `atMost`, whatever was let go', () => {
  const truth = new Map<string, number>()
  const sections = Array.from({ length: 3 }, (_, section) => {
    const counter = new WordCounter()
    for (let n = 0; n < 100_000; n++) {
      const word = `w${Math.floor((n * 7_919 + section * 31) % 150_000) ** 2 % 70_001}`
      truth.set(word, (truth.get(word) ?? 0) + 1)
      counter.add(word)
    }
    return counter.end()
  })
  for (const { word, count, atMost } of mostFrequent(sections, 2_000)) {
    expect(truth.get(word)).toBeGreaterThanOrEqual(count)
    expect(truth.get(word)).toBeLessThanOrEqual(atMost)
  }
})

test('a column is of the narrowest type that all of its cells have', () => {
  const csv = csvOf('n;x;day;yes;zip;huge;none;"a;b"')
  const sections = [
    ['1;1;2024-01-02;true;00123;1;;"q ""q"""', '-7;2.5;2024-01-01;false;04567;12345678901234567890;;x'],
    ['3;1e3;2025-12-31;no;99999;2;;yy', 'too;few', ''],
  ].map((lines) => {
    const counter = new ColumnCounter(csv)
    for (const line of lines) counter.add(line)
    return counter.end()
  })
  expect(sections.map(({ rows, odd }) => [rows, odd])).toEqual([
    [2, 0],
    [1, 1],
  ])
  expect(columnsOf(csv, sections).map(({ name, type, from, to, empty }) => [name, type, from, to, empty])).toEqual([
    ['n', 'integer', -7, 3, 0],
    ['x', 'number', 1, 1_000, 0],
    ['day', 'date', '2024-01-01', '2025-12-31', 0],
    ['yes', 'boolean', null, null, 0],
    ['zip', 'text', 5, 5, 0],
    ['huge', 'text', 1, 20, 0],
    ['none', 'empty', null, null, 3],
    ['a;b', 'text', 1, 5, 0],
  ])
})

import type { RunBody } from 'offstage/http'
import type { Report } from './tasks.ts'
import type { Column } from './columns.ts'

const number = (value: number): string => value.toLocaleString('en')

/** What a file says of itself must not steer the terminal. */
const plain = (text: string): string => text.replaceAll(/\p{C}/gu, '?')

export const bytes = (size: number): string => (size < 1e6 ? `${number(size)} bytes` : `${(size / 1e6).toFixed(1)} MB`)

/** A bar that is drawn over and over on a terminal; elsewhere a line for each tenth. */
export class ProgressBar {
  readonly #out: NodeJS.WriteStream
  #tenth = -1
  #isOpen = false

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  draw(fraction: number, label: string): void {
    const done = Math.round(fraction * 30)
    const line = `  [${'#'.repeat(done)}${'.'.repeat(30 - done)}] ${String(Math.floor(fraction * 100)).padStart(3)} %  ${label}`
    const tenth = Math.floor(fraction * 10)
    if (this.#out.isTTY) this.#out.write(`\r${line}`)
    else if (tenth !== this.#tenth) this.#out.write(`${line}\n`)
    this.#tenth = tenth
    this.#isOpen = this.#out.isTTY
  }

  /** What is printed next begins on a line of its own. */
  say(line: string): void {
    this.#out.write(`${this.#isOpen ? '\n' : ''}${line}\n`)
    this.#isOpen = false
  }
}

export function linesOf(report: Report): readonly string[] {
  const { size, kind, csv, frequent, gzipRatio } = report
  const isText = kind === 'text' || kind === 'csv'
  const isExact = frequent.every(({ count, atMost }) => count === atMost)
  return [
    `\n${plain(report.name)}`,
    `  size          ${bytes(size)}`,
    ...(isText ? [`  lines         ${number(report.lines)}`, `  words         ${number(report.words)}`] : []),
    ...(isText
      ? [`  most frequent ${frequent.map(({ word, count }) => `${word} ${number(count)}`).join(', ') || 'none'}`]
      : []),
    ...(isExact
      ? []
      : ['                (at least: more different words than the table holds, so that rare ones were let go)']),
    ...(kind === 'binary' ? ['  content       binary, or not UTF-8: no lines and words to count'] : []),
    ...(kind === 'empty' ? ['  content       none: the file is empty'] : []),
    `  SHA-256       ${report.sha256}`,
    ...(gzipRatio === null ? [] : [`  gzip          ${(gzipRatio * 100).toFixed(1)} % of its size`]),
    ...(csv === null
      ? []
      : [
          `  rows          ${number(csv.rows)}${csv.odd > 0 ? `, and ${number(csv.odd)} with another number of columns, left out` : ''}`,
        ]),
    ...(csv?.columns.map(columnLine) ?? []),
  ]
}

function columnLine({ name, type, from, to, empty }: Column): string {
  const range = from === null ? '' : type === 'text' ? `, ${from} to ${to} characters` : `, ${from} to ${to}`
  return `    ${plain(name).padEnd(12)}${type}${range}${empty > 0 ? `, ${number(empty)} empty` : ''}`
}

/** How a run ended, where it was not well. */
export const failureOf = ({ state, error }: RunBody): string =>
  `The run ${state}${error === undefined ? '.' : `: ${error.message}`}`

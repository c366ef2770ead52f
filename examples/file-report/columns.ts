/** A CSV file's dialect, told by its first line. */
export interface Csv {
  readonly delimiter: string
  readonly names: readonly string[]
}

export interface Column {
  readonly name: string
  readonly type: 'empty' | 'boolean' | 'integer' | 'number' | 'date' | 'text'
  /** Of numbers and dates the smallest and largest; of text the shortest and longest length. */
  readonly from: number | string | null
  readonly to: number | string | null
  readonly empty: number
}

/** What one section holds of one column, as JSON. */
interface Tally {
  filled: number
  empty: number
  booleans: number
  integers: number
  numbers: number
  smallest: number | null
  largest: number | null
  dates: number
  earliest: string | null
  latest: string | null
  shortest: number | null
  longest: number | null
}

/** What one section holds of all columns. */
export interface Columns {
  readonly rows: number
  /** Rows with another number of cells than the first line; they are left out. */
  readonly odd: number
  readonly tallies: readonly Tally[]
}

const MOST_COLUMNS = 100
const nothing = (): Tally => ({
  filled: 0,
  empty: 0,
  booleans: 0,
  integers: 0,
  numbers: 0,
  smallest: null,
  largest: null,
  dates: 0,
  earliest: null,
  latest: null,
  shortest: null,
  longest: null,
})

export function csvOf(firstLine: string): Csv {
  const delimiters = [',', ';', '\t'].map((delimiter) => ({ delimiter, names: cellsOf(firstLine, delimiter) }))
  return delimiters.reduce((best, other) => (other.names.length > best.names.length ? other : best))
}

/** Counts the rows of one section. A line is a row: a line break within quotes makes two odd ones. */
export class ColumnCounter {
  readonly #csv: Csv
  readonly #tallies: readonly Tally[]
  #rows = 0
  #odd = 0

  constructor(csv: Csv) {
    this.#csv = csv
    this.#tallies = csv.names.slice(0, MOST_COLUMNS).map(nothing)
  }

  add(line: string): void {
    if (line === '') return
    const cells = cellsOf(line, this.#csv.delimiter)
    if (cells.length !== this.#csv.names.length) {
      this.#odd++
      return
    }
    this.#rows++
    for (const [index, tally] of this.#tallies.entries()) count(tally, cells[index]?.trim() ?? '')
  }

  end(): Columns {
    return { rows: this.#rows, odd: this.#odd, tallies: this.#tallies }
  }
}

/** Of all sections together. */
export function columnsOf(csv: Csv, sections: readonly Columns[]): readonly Column[] {
  return csv.names.slice(0, MOST_COLUMNS).map((name, index) => {
    const tally = sections.flatMap(({ tallies }) => tallies[index] ?? []).reduce(merge, nothing())
    return { name, ...typeOf(tally), empty: tally.empty }
  })
}

function cellsOf(line: string, delimiter: string): string[] {
  if (!line.includes('"')) return line.split(delimiter)
  const cells: string[] = []
  let [cell, quoted] = ['', false]
  for (let at = 0; at < line.length; at++) {
    const char = line[at] ?? ''
    if (char === '"' && quoted && line[at + 1] === '"') cell += line[++at]
    else if (char === '"') quoted = !quoted
    else if (char !== delimiter || quoted) cell += char
    else {
      cells.push(cell)
      cell = ''
    }
  }
  return [...cells, cell]
}

/** A code such as 00123, and a number too large to be exact, stay text: nothing is changed silently. */
const INTEGER = /^[+-]?(?:0|[1-9]\d*)$/
const NUMBER = /^[+-]?(?:0|[1-9]\d*)?(?:\.\d+)?(?:e[+-]?\d+)?$/i
const DATE = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?$/
const BOOLEAN = /^(?:true|false|yes|no)$/i

function count(tally: Tally, cell: string): void {
  if (cell === '') {
    tally.empty++
    return
  }
  tally.filled++
  tally.shortest = lower(tally.shortest, cell.length)
  tally.longest = higher(tally.longest, cell.length)
  const number = Number(cell)
  const isInteger = INTEGER.test(cell) && Number.isSafeInteger(number)
  if (isInteger) tally.integers++
  if (isInteger || (NUMBER.test(cell) && !INTEGER.test(cell) && Number.isFinite(number))) {
    tally.numbers++
    tally.smallest = lower(tally.smallest, number)
    tally.largest = higher(tally.largest, number)
  } else if (BOOLEAN.test(cell)) tally.booleans++
  else if (DATE.test(cell) && !Number.isNaN(Date.parse(cell))) {
    tally.dates++
    tally.earliest = lower(tally.earliest, cell)
    tally.latest = higher(tally.latest, cell)
  }
}

const merge = (a: Tally, b: Tally): Tally => ({
  filled: a.filled + b.filled,
  empty: a.empty + b.empty,
  booleans: a.booleans + b.booleans,
  integers: a.integers + b.integers,
  numbers: a.numbers + b.numbers,
  smallest: lower(a.smallest, b.smallest),
  largest: higher(a.largest, b.largest),
  dates: a.dates + b.dates,
  earliest: lower(a.earliest, b.earliest),
  latest: higher(a.latest, b.latest),
  shortest: lower(a.shortest, b.shortest),
  longest: higher(a.longest, b.longest),
})

const lower = <T extends number | string>(a: T | null, b: T | null): T | null =>
  a === null || (b !== null && b < a) ? b : a
const higher = <T extends number | string>(a: T | null, b: T | null): T | null =>
  a === null || (b !== null && b > a) ? b : a

/** The narrowest type that every filled cell has. */
function typeOf(tally: Tally): Pick<Column, 'type' | 'from' | 'to'> {
  const { filled, smallest, largest } = tally
  if (filled === 0) return { type: 'empty', from: null, to: null }
  if (tally.booleans === filled) return { type: 'boolean', from: null, to: null }
  if (tally.integers === filled) return { type: 'integer', from: smallest, to: largest }
  if (tally.numbers === filled) return { type: 'number', from: smallest, to: largest }
  if (tally.dates === filled) return { type: 'date', from: tally.earliest, to: tally.latest }
  return { type: 'text', from: tally.shortest, to: tally.longest }
}

/** Words beyond this length are cut: a file without a single space must not become one key of the table. */
const LONGEST = 64
/** Different words in one section's table while it is read … */
const MOST = 50_000
/** … and in what is kept of it: a step's result is stored, so it is small. */
const KEPT = 500

const WORD = /[\p{L}\p{N}]+(?:['’]\p{L}+)*/gu

/** A word's count, and how many times more it may have been seen. */
type Counted = readonly [word: string, count: number, unseen: number]

/** The most frequent words of one section, as JSON. */
export interface WordCounts {
  readonly words: number
  readonly table: readonly Counted[]
  /** No word outside the table was seen more often. */
  readonly outside: number
}

export interface FrequentWord {
  readonly word: string
  readonly count: number
  /** The same as `count` where it is exact: a table that was full has let rare words go, and this word may have been among them once. */
  readonly atMost: number
}

/** Counts words in bounded memory, also where all of them are different: when the table is full, rare words go (known as lossy counting). */
export class WordCounter {
  readonly #table = new Map<string, { count: number; readonly unseen: number }>()
  #words = 0
  #outside = 0

  add(text: string): void {
    for (const word of text.toLowerCase().match(WORD) ?? []) {
      this.#words++
      const key = word.slice(0, LONGEST)
      const known = this.#table.get(key)
      if (known !== undefined) known.count++
      else this.#table.set(key, { count: 1, unseen: this.#outside })
      if (this.#table.size > MOST) this.#makeRoom()
    }
  }

  end(): WordCounts {
    const byCount = Array.from(this.#table, ([word, { count, unseen }]): Counted => [word, count, unseen]).sort(
      (a, b) => b[1] - a[1],
    )
    const dropped = byCount.slice(KEPT).map(([, count, unseen]) => count + unseen)
    return {
      words: this.#words,
      table: byCount.slice(0, KEPT),
      outside: dropped.reduce((a, b) => Math.max(a, b), this.#outside),
    }
  }

  #makeRoom(): void {
    for (let rare = 1; this.#table.size > MOST / 2; rare++) {
      for (const [word, { count, unseen }] of this.#table) {
        if (count > rare) continue
        this.#table.delete(word)
        this.#outside = Math.max(this.#outside, count + unseen)
      }
    }
  }
}

/** Of all sections together. What one section's table does not hold may have been seen there as often as `outside` says. */
export function mostFrequent(sections: readonly WordCounts[], most: number): readonly FrequentWord[] {
  const outside = sections.reduce((sum, section) => sum + section.outside, 0)
  const found = new Map<string, { count: number; atMost: number }>()
  for (const section of sections) {
    for (const [word, count, unseen] of section.table) {
      const sum = found.get(word) ?? { count: 0, atMost: outside }
      found.set(word, { count: sum.count + count, atMost: sum.atMost - section.outside + count + unseen })
    }
  }
  const all = Array.from(found, ([word, { count, atMost }]) => ({ word, count, atMost }))
  return all.sort((a, b) => b.count - a.count || (a.word < b.word ? -1 : 1)).slice(0, most)
}

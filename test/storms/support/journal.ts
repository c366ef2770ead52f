import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'

interface OfAttempt<W extends string> {
  readonly what: W
  readonly run: string
  readonly attempt: number
  readonly task: string
}

interface OfStep<W extends string> {
  readonly what: W
  readonly run: string
  readonly step: string
}

/** What was done and seen, each by the process that did it. */
export type Event =
  | { readonly what: 'try'; readonly token: string }
  | { readonly what: 'ack'; readonly token: string; readonly run: string }
  | { readonly what: 'refused'; readonly token: string; readonly code: string }
  | OfAttempt<'begin'>
  | OfAttempt<'end'>
  | OfAttempt<'threw'>
  /** Its code was called; then what it came to was on record. */
  | OfStep<'step'>
  | OfStep<'step done'>
  /** An instance was told that a run has ended. */
  | { readonly what: 'settled'; readonly run: string; readonly attempt: number; readonly state: string }
  /** Any other event of an instance, as it was told. */
  | { readonly what: 'told'; readonly event: string; readonly data: Readonly<Record<string, unknown>> }
  /** Its store is open and its worker claims, if it has one. */
  | { readonly what: 'ready'; readonly works: boolean }
  /** A process was ended from outside, or by its own code; and what it held by the store's word. */
  | { readonly what: 'killed'; readonly victim: number; readonly held: readonly string[] }
  | { readonly what: 'logged'; readonly level: string; readonly text: string }
  /** Of one storm alone: what its task or its instance saw. */
  | { readonly what: 'saw'; readonly sight: string; readonly run?: string; readonly code?: string }

export type Line = Event & {
  /** Milliseconds of the machine's monotonic clock: the same for all its processes, whatever their wall clocks say. */
  readonly at: number
  readonly pid: number
}

/** The clock of the journal. */
export const monotonic = (): number => Number(process.hrtime.bigint()) / 1e6

/** A file that all processes append to, each line in one call: the lines of a killed process are whole. */
export class Journal implements Disposable {
  readonly path: string
  readonly #file: number

  constructor(path: string) {
    this.path = path
    this.#file = openSync(path, 'a')
  }

  write(event: Event): void {
    writeSync(this.#file, `${JSON.stringify({ at: monotonic(), pid: process.pid, ...event })}\n`)
  }

  /** On disk when this returns: an acknowledgement that was written down is remembered. */
  keep(event: Event): void {
    this.write(event)
    fsyncSync(this.#file)
  }

  lines(): readonly Line[] {
    const text = readFileSync(this.path, 'utf8')
    return text === '' ? [] : (JSON.parse(`[${text.trimEnd().replaceAll('\n', ',')}]`) as Line[]) // written by `write`
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}

export const only = <W extends Line['what']>(lines: readonly Line[], what: W): readonly Extract<Line, { what: W }>[] =>
  lines.filter((line): line is Extract<Line, { what: W }> => line.what === what)

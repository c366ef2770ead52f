import type { Claim } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import type { LogLevel } from '../core/logger.ts'
import { encode, type PayloadLimit } from '../core/payload.ts'
import type { ProgressRecord } from '../core/run.ts'
import { Throttle } from '../runtime/throttle.ts'
import type { Note } from '../stores/store.ts'
import type { Ledger } from './ledger.ts'
import { logLine } from './log-line.ts'

/** At most four a second are kept. */
const PROGRESS_EVERY = 250
/** Lines that were not sent yet: no more are kept of an attempt. */
const UNSENT_LINES = 200

export interface NotesParts {
  readonly ledger: Ledger
  readonly clock: Clock
  readonly claim: Claim
  readonly limit: PayloadLimit
  /** The store's answer to a write of these notes. */
  readonly written: (answer: 'done' | 'fenced') => void
}

/**
 * What one attempt tells while it runs: progress thinned out, output whole and in order, the last lines of its log, all of one turn in one
 * write. One write is under way at a time: what is told meanwhile shares the next, so that a store that stands still is owed one write,
 * not one for each turn.
 */
export class Notes {
  readonly #parts: NotesParts
  readonly #progress: Throttle<ProgressRecord>
  #unsent: Note[] = []
  #lines: Note[] = []
  /** The latest progress, until a write of it was answered. */
  #owed: Note | undefined
  #coming = false
  #out = 0

  constructor(parts: NotesParts) {
    this.#parts = parts
    this.#progress = new Throttle(parts.clock, PROGRESS_EVERY, (data) => {
      this.#owed = { type: 'progress', data }
      this.#add(this.#owed)
    })
  }

  progress(data: ProgressRecord): void {
    this.#progress.push(data)
  }

  output(data: unknown): void {
    this.#add({ type: 'output', data: encode(data, 'ctx.emit(…)', this.#parts.limit) ?? 'null' })
  }

  log(level: LogLevel, fields: object, message: string | undefined): void {
    this.#lines.push({ type: 'log', data: logLine(this.#parts.clock.now(), level, { fields, message }) })
    if (this.#lines.length > UNSENT_LINES) this.#lines.shift()
    this.#sendLater()
  }

  /**
   * What is left goes out now: before the end of the attempt that told it. Progress that was sent and not answered goes with it once
   * more: told twice it is harmless, and after that end it would be too late.
   */
  flush(): void {
    this.#progress.flush()
    if (this.#owed !== undefined && !this.#unsent.includes(this.#owed)) this.#unsent.push(this.#owed)
    this.#send()
  }

  /** The reply to that end was lost, and so may be what went before it: the last progress goes with its repeat. */
  repeat(): void {
    if (this.#owed !== undefined) void this.#write([this.#owed]) // it never rejects
  }

  #add(note: Note): void {
    this.#unsent.push(note)
    this.#sendLater()
  }

  #sendLater(): void {
    if (this.#coming || this.#out > 0) return
    this.#coming = true
    this.#parts.clock.nextTurn(() => this.#send())
  }

  #send(): void {
    this.#coming = false
    const notes = [...this.#unsent, ...this.#lines]
    if (notes.length === 0) return
    this.#unsent = []
    this.#lines = []
    void this.#write(notes) // it never rejects
  }

  async #write(notes: readonly Note[]): Promise<void> {
    const { ledger, claim, written } = this.#parts
    this.#out++
    try {
      const answer = await ledger.add({ kind: 'note', claim, notes })
      if (this.#owed !== undefined && notes.includes(this.#owed)) this.#owed = undefined
      if (answer === 'done' || answer === 'fenced') written(answer)
    } catch {
      // Output and lines are not repeated: nobody knows whether they were written, and they must not be told twice. The attempt's end
      // will say that the store does not answer.
    }
    if (--this.#out === 0 && this.#unsent.length + this.#lines.length > 0) this.#sendLater()
  }
}

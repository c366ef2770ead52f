import type { Claim } from '../core/claim.ts'
import type { Clock } from '../core/clock.ts'
import { encode, type PayloadLimit } from '../core/payload.ts'
import type { ProgressRecord } from '../core/run.ts'
import { Throttle } from '../runtime/throttle.ts'
import type { Note } from '../stores/store.ts'
import type { Ledger } from './ledger.ts'

/** At most four a second are kept. */
const PROGRESS_EVERY = 250

export interface NotesParts {
  readonly ledger: Ledger
  readonly clock: Clock
  readonly claim: Claim
  readonly limit: PayloadLimit
  /** The store's answer to a write of these notes. */
  readonly written: (answer: 'done' | 'fenced') => void
}

/** What one attempt tells while it runs: progress thinned out, output whole and in order, all of one turn in one write. */
export class Notes {
  readonly #parts: NotesParts
  readonly #progress: Throttle<ProgressRecord>
  #unsent: Note[] = []
  #sending = false

  constructor(parts: NotesParts) {
    this.#parts = parts
    this.#progress = new Throttle(parts.clock, PROGRESS_EVERY, (data) => this.#add({ type: 'progress', data }))
  }

  progress(data: ProgressRecord): void {
    this.#progress.push(data)
  }

  output(data: unknown): void {
    this.#add({ type: 'output', data: encode(data, 'ctx.emit(…)', this.#parts.limit) ?? 'null' })
  }

  /** What is left goes out now: before the end of the attempt that told it. */
  flush(): void {
    this.#progress.flush()
    this.#send()
  }

  #add(note: Note): void {
    this.#unsent.push(note)
    if (this.#sending) return
    this.#sending = true
    this.#parts.clock.nextTurn(() => this.#send())
  }

  #send(): void {
    this.#sending = false
    const notes = this.#unsent
    if (notes.length === 0) return
    this.#unsent = []
    void this.#write(notes) // it never rejects
  }

  async #write(notes: readonly Note[]): Promise<void> {
    const { ledger, claim, written } = this.#parts
    try {
      const answer = await ledger.add({ kind: 'note', claim, notes })
      if (answer === 'done' || answer === 'fenced') written(answer)
    } catch {
      // Not repeated: nobody knows whether they were written, and a piece of output must not be told twice. The attempt's end will say
      // that the store does not answer.
    }
  }
}

import { mkdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { InstanceId } from '../../core/claim.ts'
import type { Clock } from '../../core/clock.ts'

const EVERY = 5_000
/** Three beats missed. */
const SILENT = 15_000

/** When a file was last touched. */
interface Touched {
  readonly at: number
  /** Since when it has stood at that, by the clock of who looks: no two clocks are compared. */
  readonly since: number
}

/**
 * The soft beat: a file touched by path every five seconds. It tells of a process whose end cannot be asked of the kernel: one in
 * another container, or on a system without /proc.
 */
export class Beat {
  readonly #clock: Clock
  readonly #fileOf: (id: InstanceId) => string
  readonly #others = new Map<InstanceId, Touched>()
  #own: { readonly file: string; next: number } | undefined

  constructor(clock: Clock, fileOf: (id: InstanceId) => string) {
    this.#clock = clock
    this.#fileOf = fileOf
  }

  begin(id: InstanceId): void {
    const file = this.#fileOf(id)
    writeFileSync(file, '', { mode: 0o600 })
    this.#own = { file, next: this.#clock.monotonic() + EVERY }
  }

  /** Touches the file, if it is time. */
  go(): void {
    const own = this.#own
    if (own === undefined || this.#clock.monotonic() < own.next) return
    own.next = this.#clock.monotonic() + EVERY
    const now = new Date(this.#clock.now())
    try {
      utimesSync(own.file, now, now)
    } catch {
      // Somebody removed it, perhaps with its folder.
      mkdirSync(dirname(own.file), { recursive: true, mode: 0o700 })
      writeFileSync(own.file, '', { mode: 0o600 })
    }
  }

  /** It was touched no more for 15 s that were watched from here. */
  isSilent(id: InstanceId): boolean {
    const now = this.#clock.monotonic()
    const at = statSync(this.#fileOf(id), { throwIfNoEntry: false })?.mtimeMs ?? 0
    const known = this.#others.get(id)
    if (known?.at !== at) this.#others.set(id, { at, since: now })
    return known?.at === at && now - known.since >= SILENT
  }

  forget(id: InstanceId): void {
    this.#others.delete(id)
    rmSync(this.#fileOf(id), { force: true })
  }

  end(): void {
    if (this.#own !== undefined) rmSync(this.#own.file, { force: true })
    this.#own = undefined
  }
}

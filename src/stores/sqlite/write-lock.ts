import type { DatabaseSync } from 'node:sqlite'
import { realClock } from '../../runtime/world.ts'
import { isBusy } from './failures.ts'
import { DATA_VERSION } from './sql/others.ts'
import { BEGIN, LOOK } from './sql/settings.ts'
import { Statement } from './statement.ts'

/** Without anybody's commit for so long, whoever has the lock is stuck, and waiting is no use. */
const STUCK = 5_000
/** For whoever comes while that is so. */
const AGAIN = 100
/** However much goes on, a commit that takes longer is refused. */
const PATIENCE = 30_000
/** Who had to wait lately lets the others go first: they look each millisecond. */
const COURTESY = { for: 1_000, ms: 2 }

/**
 * The one lock of a database, among processes that all want it. SQLite's own way of waiting looks ten times a second in the end, while
 * whoever has just had the lock asks again at once: on a disk that takes its time for an fsync some would hardly ever get it.
 */
export class WriteLock {
  readonly #database: DatabaseSync
  readonly #version: Statement
  readonly #cell = new Int32Array(new SharedArrayBuffer(4))
  #waitedAt = Number.NEGATIVE_INFINITY
  /** What was last committed when somebody was found to be stuck. */
  #stuckAt: unknown

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#version = new Statement(database.prepare(DATA_VERSION))
    database.exec(LOOK)
  }

  /** Throws SQLite's "busy" where nothing moves, or it takes too long. */
  take(): void {
    const began = realClock.monotonic()
    if (began - this.#waitedAt < COURTESY.for) Atomics.wait(this.#cell, 0, 0, COURTESY.ms)
    let movedAt = began
    for (let seen: unknown; ; this.#waitedAt = realClock.monotonic()) {
      try {
        this.#database.exec(BEGIN)
        this.#stuckAt = undefined
        return
      } catch (error) {
        const now = realClock.monotonic()
        if (!isBusy(error) || now - began > PATIENCE) throw error
        const version = this.#version.row()?.[0]
        if (version !== seen) movedAt = now
        if (now - movedAt > (version === this.#stuckAt ? AGAIN : STUCK)) {
          this.#stuckAt = version
          throw error
        }
        seen = version
      }
    }
  }
}

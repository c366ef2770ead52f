import { watch, type FSWatcher } from 'node:fs'
import type { Clock } from '../../core/clock.ts'

/** How often it looks while nothing is heard; and the latest that a change is told where nothing can be heard. */
const IDLE = 500
/** After something was heard: what is written is seen only once its writer's fsync is done, and that makes no sound. */
const FIRST = 2
const MOST = 10
/** So long does an fsync take at the most that is waited for closely. */
const LINGER = 500

export interface WakeParts {
  /** The database's -wal: every commit is written to it. */
  readonly file: string
  readonly clock: Clock
  /** What alters with every commit but those of the connection that asks. */
  readonly version: () => number
  readonly changed: () => void
}

/**
 * Notices the commits of others. The kernel tells of each write to the -wal, this process's own too, and then the database is asked
 * for a while. The file is watched by its path: on Linux nothing is opened, and nowhere the database or its -shm, where the locks are.
 */
export class Wake implements Disposable {
  readonly #parts: WakeParts
  #watcher: FSWatcher | undefined
  #timer: Disposable
  #gap = IDLE
  #closely = 0
  #seen: number

  constructor(parts: WakeParts) {
    this.#parts = parts
    this.#seen = parts.version()
    this.#watch()
    this.#timer = this.#again()
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]()
    this.#watcher?.close()
  }

  /** Often called: a busy process hears each of its own commits. While it looks closely already, that only goes on for longer. */
  readonly #hear = (): void => {
    this.#closely = this.#parts.clock.monotonic() + LINGER
    if (this.#gap !== IDLE) return
    this.#timer[Symbol.dispose]()
    this.#gap = FIRST
    this.#timer = this.#again()
  }

  #again(): Disposable {
    return this.#parts.clock.timer(this.#gap, () => this.#look())
  }

  #look(): void {
    const seen = this.#version()
    const isDeaf = this.#gap === IDLE
    this.#gap = this.#parts.clock.monotonic() < this.#closely ? Math.min(this.#gap * 2, MOST) : IDLE
    this.#timer = this.#again()
    if (seen === this.#seen) return
    this.#seen = seen
    // A commit that was not heard: the -wal is another file by now, or this system tells nothing.
    if (isDeaf) this.#watch()
    this.#parts.changed()
  }

  /** A database that cannot be read now is told of by those who need it; here it is looked at again. */
  #version(): number {
    try {
      return this.#parts.version()
    } catch {
      return this.#seen
    }
  }

  /** Where it cannot be watched (too many watches, another kind of system), the looks remain. */
  #watch(): void {
    this.#watcher?.close()
    try {
      this.#watcher = watch(this.#parts.file, { persistent: false }, this.#hear)
      this.#watcher.on('error', () => undefined)
    } catch {
      this.#watcher = undefined
    }
  }
}

import type { Clock } from '../core/clock.ts'
import type { Channels } from '../runtime/channels.ts'
import type { Role } from '../runtime/service.ts'
import type { Store } from '../stores/store.ts'

/** How long runs wait for somebody who performs them before that is worth an alarm: a deploy takes a while. */
const PATIENCE = 60_000
/** Between looks. The first comes that long after the start: where all start together, the others must have joined. */
const EVERY = 30_000

export interface UnknownTasksParts {
  readonly store: Store
  readonly clock: Clock
  readonly channels: Channels
}

/** Looks for runs of tasks and versions that no living instance performs, and says so once. They wait; nothing discards them. */
export class UnknownTasks implements Role {
  readonly #parts: UnknownTasksParts
  #due: number
  #told: ReadonlySet<string> = new Set()

  constructor(parts: UnknownTasksParts) {
    this.#parts = parts
    this.#due = parts.clock.monotonic() + EVERY
  }

  async tick(): Promise<void> {
    const { store, clock, channels } = this.#parts
    if (clock.monotonic() < this.#due) return
    this.#due = clock.monotonic() + EVERY
    const found = await store.read({ kind: 'unperformed', for: PATIENCE })
    const told = this.#told
    this.#told = new Set(found.map(nameOf))
    for (const one of found)
      if (!told.has(nameOf(one))) channels.tell('task:unknown', () => ({ ...one, since: new Date(one.since) }))
  }
}

const nameOf = ({ task, version }: { readonly task: string; readonly version: number }): string => `${task}@${version}`

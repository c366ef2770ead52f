import type { InstanceId, RunId } from '../core/claim.ts'
import type { Liveness } from '../core/liveness.ts'
import type { Channels } from '../runtime/channels.ts'
import type { Role } from '../runtime/service.ts'
import type { Rescued, Store } from '../stores/store.ts'
import { accepted, type Ledger } from './ledger.ts'

/** Runs taken back in one commit: a dead instance with many must not hold up everybody's. */
const AT_ONCE = 500

export interface RescueParts {
  readonly store: Store
  readonly ledger: Ledger
  readonly liveness: Liveness
  readonly channels: Channels
  readonly me: () => InstanceId
  /** It waits again, or has ended. */
  readonly changed: (run: RunId) => void
  /** Runs wait again. */
  readonly rescued: () => void
}

/** Takes back the runs of dead instances and those past their deadline, and ends those whose cancel is not heeded. */
export class Rescue implements Role {
  readonly #parts: RescueParts

  constructor(parts: RescueParts) {
    this.#parts = parts
  }

  async tick(): Promise<void> {
    const { store, liveness, me } = this.#parts
    liveness.beat()
    const others = (await store.read({ kind: 'instances' })).filter(({ id }) => id !== me())
    const dead = others.length === 0 ? [] : liveness.dead(others)
    if (dead.length > 0) await this.#takeBack(dead)
    // Asked first: a rescue that finds nothing would take the write lock twice a second.
    while (await store.read({ kind: 'overdue' })) await this.#takeBack([])
  }

  async #takeBack(dead: readonly InstanceId[]): Promise<void> {
    const { ledger, channels, rescued, changed } = this.#parts
    const answer: Rescued = accepted<'rescue'>(await ledger.add({ kind: 'rescue', dead, limit: AT_ONCE }))
    const { waiting, ended } = answer
    for (const instance of answer.dead) channels.tell('instance:dead', () => ({ instance }))
    for (const id of waiting) channels.tell('run:rescued', () => ({ run: { id } }))
    for (const id of [...waiting, ...ended]) changed(id)
    if (waiting.length > 0) rescued()
  }
}

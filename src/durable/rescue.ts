import type { InstanceId } from '../core/claim.ts'
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
  /** Runs wait again. */
  readonly rescued: () => void
}

/** Takes back the runs of dead instances. The first round also sweeps what a dead instance left that nobody remembers. */
export class Rescue implements Role {
  readonly #parts: RescueParts
  #swept = false

  constructor(parts: RescueParts) {
    this.#parts = parts
  }

  async tick(): Promise<void> {
    const { store, liveness, me } = this.#parts
    liveness.beat()
    const others = (await store.read({ kind: 'instances' })).filter(({ id }) => id !== me())
    let dead = others.length === 0 ? [] : liveness.dead(others)
    while (dead.length > 0 || !this.#swept) {
      const { waiting, ended } = await this.#takeBack(dead)
      dead = []
      this.#swept = waiting.length + ended.length < AT_ONCE
    }
  }

  async #takeBack(dead: readonly InstanceId[]): Promise<Rescued> {
    const { ledger, channels, rescued } = this.#parts
    const answer = accepted<'rescue'>(await ledger.add({ kind: 'rescue', dead, limit: AT_ONCE }))
    for (const instance of dead) channels.tell('instance:dead', () => ({ instance }))
    for (const id of answer.waiting) channels.tell('run:rescued', () => ({ run: { id } }))
    if (answer.waiting.length > 0) rescued()
    return answer
  }
}

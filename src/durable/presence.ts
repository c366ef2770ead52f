import type { InstanceId } from '../core/claim.ts'
import type { Liveness } from '../core/liveness.ts'
import type { Random } from '../core/random.ts'
import type { Version } from '../stores/store.ts'
import { accepted, type Ledger } from './ledger.ts'

/** Makes this instance's life visible. Its id is fresh at each start, and anew where it was declared dead and lives. */
export class Presence {
  readonly #ledger: Ledger
  readonly #liveness: Liveness
  readonly #random: Random
  readonly #can: readonly Version[]
  #id: InstanceId = ''

  /** `can`: what this instance performs, so that others can tell what nobody does. */
  constructor(parts: {
    readonly ledger: Ledger
    readonly liveness: Liveness
    readonly random: Random
    readonly can: readonly Version[]
  }) {
    this.#ledger = parts.ledger
    this.#liveness = parts.liveness
    this.#random = parts.random
    this.#can = parts.can
  }

  get id(): InstanceId {
    return this.#id
  }

  /** Under a new id; what was held under the old one is another's by then. */
  async join(): Promise<void> {
    this.#liveness.end()
    this.#id = this.#random.instanceId()
    const instance = this.#liveness.begin(this.#id)
    accepted<'presence'>(await this.#ledger.add({ kind: 'presence', instance, change: 'joins', can: this.#can }))
  }

  /** The proof of life goes last: until then nobody may take this instance for dead. */
  async leave(): Promise<void> {
    const { id } = this
    try {
      await this.#ledger.add({
        kind: 'presence',
        instance: { id, pid: 0, boot: '', began: '', pidNamespace: '' },
        change: 'leaves',
        can: [],
      })
    } finally {
      this.#liveness.end()
    }
  }
}

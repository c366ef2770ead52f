import { claimText, type Claim, type InstanceId } from '../core/claim.ts'
import { released } from '../core/outcome.ts'
import type { Role } from '../runtime/service.ts'
import type { Performing, Store } from '../stores/store.ts'
import type { Ledger } from './ledger.ts'
import type { Worker } from './worker.ts'

/** Rounds after which the store is asked though nothing calls for it: ten seconds. */
const LOOK_ANYWAY = 20

export interface ReconcileParts {
  readonly store: Store
  readonly ledger: Ledger
  readonly worker: Pick<Worker, 'held' | 'performs' | 'cancel' | 'wake'>
  readonly instance: () => InstanceId
}

/** Holds what the store says of this instance's runs against what the worker holds: cancels asked for elsewhere, and claims whose reply was lost. */
export class Reconcile implements Role {
  readonly #parts: ReconcileParts
  #uncertain = false
  #ticks = 0
  /** Claims of the last look that nobody here knew of, each with the latest commit that was sent when it was first seen. */
  #unknown: ReadonlyMap<string, number> = new Map()

  constructor(parts: ReconcileParts) {
    this.#parts = parts
  }

  /** A flight that may have claimed runs for this instance failed. */
  lostReply(): void {
    this.#uncertain = true
  }

  async tick(): Promise<void> {
    const { worker } = this.#parts
    const isDue = ++this.#ticks % LOOK_ANYWAY === 0
    if (worker.held === 0 && !this.#uncertain && !isDue) return
    // Before the question: a reply that is lost while it is answered is a reason to ask again.
    this.#uncertain = false
    const performing = await this.#performing()
    for (const { claim, cancelRequested } of performing) if (cancelRequested) worker.cancel(claim.run)
    await this.#giveBack(performing.map(({ claim }) => claim).filter((claim) => !worker.performs(claim)))
  }

  async #performing(): Promise<readonly Performing[]> {
    const { store, instance } = this.#parts
    try {
      return await store.read({ kind: 'performing', instance: instance() })
    } catch (error) {
      this.#uncertain = true
      throw error
    }
  }

  /**
   * Seen at two looks, and the replies of all that was sent before the first are here or lost: none that is late can still bring it. It was
   * not begun, so it is no try.
   */
  async #giveBack(unknown: readonly Claim[]): Promise<void> {
    const { ledger, worker } = this.#parts
    const before = this.#unknown
    const sentBy = (claim: Claim): number | undefined => before.get(claimText(claim))
    this.#unknown = new Map(unknown.map((claim) => [claimText(claim), sentBy(claim) ?? ledger.sent]))
    const stranded = unknown.filter((claim) => {
      const sent = sentBy(claim)
      return sent !== undefined && ledger.isAnswered(sent)
    })
    if (unknown.length > 0) this.#uncertain = true
    if (stranded.length === 0) return
    await Promise.all(stranded.map((claim) => ledger.insist({ kind: 'settle', claim, outcome: released })))
    worker.wake()
  }
}

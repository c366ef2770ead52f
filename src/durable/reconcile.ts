import { claimText, type Claim, type InstanceId } from '../core/claim.ts'
import { released } from '../core/outcome.ts'
import type { Role } from '../runtime/service.ts'
import type { Store } from '../stores/store.ts'
import type { Ledger } from './ledger.ts'
import type { Worker } from './worker.ts'

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
  /** Claims of the last look that nobody here knew of. */
  #unknown: ReadonlySet<string> = new Set()

  constructor(parts: ReconcileParts) {
    this.#parts = parts
  }

  /** A flight that may have claimed runs for this instance failed. */
  lostReply(): void {
    this.#uncertain = true
  }

  async tick(): Promise<void> {
    const { store, worker, instance } = this.#parts
    if (worker.held === 0 && !this.#uncertain) return
    const performing = await store.read({ kind: 'performing', instance: instance() })
    for (const { claim, cancelRequested } of performing) if (cancelRequested) worker.cancel(claim.run)
    await this.#giveBack(performing.map(({ claim }) => claim).filter((claim) => !worker.performs(claim)))
  }

  /** Seen at two looks, since a reply may be under way: it was not begun, so it is no try. */
  async #giveBack(unknown: readonly Claim[]): Promise<void> {
    const { ledger, worker } = this.#parts
    const stranded = unknown.filter((claim) => this.#unknown.has(claimText(claim)))
    this.#unknown = new Set(unknown.map(claimText))
    this.#uncertain = unknown.length > 0
    if (stranded.length === 0) return
    await Promise.all(stranded.map((claim) => ledger.insist({ kind: 'settle', claim, outcome: released })))
    worker.wake()
  }
}

import { claimText, type Claim } from '../core/claim.ts'
import { FencedError } from '../core/errors.ts'
import type { Journal } from '../flow/journal.ts'
import type { Store } from '../stores/store.ts'
import { accepted, type Ledger } from './ledger.ts'

/** What a run remembers, over the store. A first attempt remembers nothing and asks nothing; a later one asks once. */
export function storeJournal(parts: {
  readonly store: Store
  readonly ledger: Ledger
  readonly claim: Claim
  readonly fenced: () => void
}): Pick<Journal, 'recall' | 'record'> {
  const { store, ledger, claim, fenced } = parts
  const remembered = async (): Promise<ReadonlyMap<string, string | null>> => {
    const steps = claim.attempt === 1 ? [] : await store.read({ kind: 'steps', run: claim.run })
    return new Map(steps.map(({ name, result }) => [name, result]))
  }
  let steps: Promise<ReadonlyMap<string, string | null>> | undefined
  return {
    recall: async (name) => (await (steps ??= remembered())).get(name),
    async record(name, result) {
      const answer = accepted<'record'>(await ledger.insist({ kind: 'record', claim, step: { name, result } }))
      if (answer === 'done') return result
      if (answer !== 'fenced') return answer.kept
      fenced()
      throw new FencedError(claimText(claim))
    },
  }
}

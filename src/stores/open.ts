import { OffstageError } from '../core/errors.ts'
import type { Store } from './store.ts'

/** `'sqlite:PATH'` or `'memory:'` → that store, loaded now: importing Offstage loads no driver. */
export async function openStore(url: string): Promise<Store> {
  const scheme = url.slice(0, url.indexOf(':'))
  const rest = url.slice(url.indexOf(':') + 1)
  if (scheme === 'memory' && rest === '') return (await import('./memory/index.ts')).memoryStore()
  if (scheme === 'sqlite' && rest !== '') return (await import('./sqlite/index.ts')).sqliteStore({ path: rest })
  // The text itself is not shown: a store's address may hold a password.
  throw new OffstageError(
    'OFFSTAGE_BAD_OPTION',
    "`store` must be 'sqlite:PATH', 'memory:' or a Store. Postgres is not available in this version of Offstage.",
  )
}

import type { Store } from './store.ts'

const SQLITE = 'sqlite:'

/** `'sqlite:PATH'` or `'memory:'`, as the settings let through → that store, loaded now: importing Offstage loads no driver. */
export async function openStore(address: string): Promise<Store> {
  if (address.startsWith(SQLITE))
    return (await import('./sqlite/index.ts')).sqliteStore({ path: address.slice(SQLITE.length) })
  return (await import('./memory/index.ts')).memoryStore()
}

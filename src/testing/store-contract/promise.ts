import type { Store } from '../../stores/store.ts'
import type { World } from './world.ts'

/** A store to be checked, and its time. */
export interface Opened {
  /** Empty, and open. */
  readonly store: Store
  /** The store's own time: it stands still until `pass` moves it. */
  readonly clock: { now(): number; pass(ms: number): void | Promise<void> }
}

/** One sentence about a store, and how it is tried. */
export interface StorePromise {
  readonly promise: string
  readonly keep: (world: World) => Promise<void>
}

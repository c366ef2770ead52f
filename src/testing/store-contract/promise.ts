import type { World } from './world.ts'

/** One sentence about every store, and how it is tried. */
export interface StorePromise {
  readonly promise: string
  readonly keep: (world: World) => Promise<void>
}

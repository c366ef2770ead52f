import type { AnyTask, OffstageOptions } from 'offstage'
import { FaultyStore } from '../setup/faulty-store.ts'
import { turns } from '../setup/fake-clock.ts'
import { stage, type Stage } from '../setup/stage.ts'
import type { Place } from '../setup/stores.ts'

export interface Instance extends Stage {
  /** The store that this instance speaks to: it does what the test says. */
  readonly store: FaultyStore
  /** Where its runs are kept: another instance may share it. */
  readonly place: Place
}

type Options = OffstageOptions & { readonly place?: Place }

/** Instances that are closed after the test; each over a place of its own, or over the one that it is given. */
export const instances =
  (newPlace: () => Place, until?: Parameters<typeof stage>[1]) =>
  (tasks: readonly AnyTask[], { place = newPlace(), ...options }: Options = {}): Instance => {
    const store = new FaultyStore(place())
    return { ...stage({ ...options, tasks, store }, until), store, place }
  }

/** Settled by now? The store may be another thread: what is under way there is not waited for. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const settle = (): boolean => (settled = true)
  promise.then(settle, settle)
  await turns()
  return settled
}

import { attempts } from './attempts.ts'
import { batches } from './batches.ts'
import { birth } from './birth.ts'
import { cancelling } from './cancelling.ts'
import { claiming } from './claiming.ts'
import { closing } from './closing.ts'
import { deadlines } from './deadlines.ts'
import { events } from './events.ts'
import { fencing } from './fencing.ts'
import { history } from './history.ts'
import { idempotency } from './idempotency.ts'
import { inserting } from './inserting.ts'
import { instances } from './instances.ts'
import { looking } from './looking.ts'
import { operating } from './operating.ts'
import { ownTransactions } from './own-transactions.ts'
import { parking } from './parking.ts'
import { payloads } from './payloads.ts'
import { rescuing } from './rescuing.ts'
import { retention } from './retention.ts'
import { signals } from './signals.ts'
import { steps } from './steps.ts'
import { together } from './together.ts'
import { transitions } from './transitions.ts'
import { unperformed } from './unperformed.ts'
import { wakes } from './wakes.ts'
import { World, type Opened } from './world.ts'

export type { Opened } from './world.ts'

export interface ContractSubject {
  /** A new store for each check, empty and open; the check closes it. */
  readonly open: () => Promise<Opened>
  /** Promises that this store does not make, each with its reason. */
  readonly skips?: readonly { readonly promise: string; readonly because: string }[]
}

/** One promise of the Store. `check` rejects where it is broken; a skipped one says why it is not kept. */
export interface ContractCheck {
  readonly promise: string
  readonly skipped: string | undefined
  readonly check: () => Promise<void>
}

const PROMISES = [
  ...inserting,
  ...idempotency,
  ...birth,
  ...claiming,
  ...attempts,
  ...parking,
  ...signals,
  ...fencing,
  ...transitions,
  ...together,
  ...cancelling,
  ...rescuing,
  ...deadlines,
  ...operating,
  ...retention,
  ...instances,
  ...events,
  ...steps,
  ...history,
  ...looking,
  ...unperformed,
  ...payloads,
  ...batches,
  ...ownTransactions,
  ...wakes,
  ...closing,
]

/**
 * What every Store promises, for any runner of tests:
 * `for (const { promise, check } of storeContract({ open })) test(promise, check)`
 */
export function storeContract({ open, skips = [] }: ContractSubject): readonly ContractCheck[] {
  for (const { promise } of skips)
    if (!PROMISES.some((one) => one.promise === promise)) throw new Error(`There is no promise "${promise}" to skip.`)
  return PROMISES.map(({ promise, keep }) => ({
    promise,
    skipped: skips.find((skip) => skip.promise === promise)?.because,
    check: async () => {
      const world = new World(await open())
      try {
        await keep(world)
      } finally {
        await world.close()
      }
    },
  }))
}

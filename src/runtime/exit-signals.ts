import { endProcess } from './world.ts'

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** Every Offstage of this process that wants to be drained at a signal: the handler is the process's, so this is its one list. */
const drains = new Set<Drain>()

/** Answers whether all has ended, threads included. */
type Drain = () => Promise<boolean>

/**
 * At SIGTERM or SIGINT everybody drains; then the process exits with 0 where ours is the only listener. Where the application listens
 * too, its exit is its own. A second signal ends the process as if nobody listened.
 */
export function drainAtExit(drain: Drain): Disposable {
  // While a drain is under way the handler is there already.
  // Ours is called first: a `once` listener that Node had called before would no longer be counted, and the exit be taken for ours.
  if (drains.size === 0 && !draining) for (const signal of SIGNALS) process.prependListener(signal, drainAll)
  drains.add(drain)
  return {
    [Symbol.dispose]() {
      // While a drain is under way the handler stays: the second signal must find it.
      if (drains.delete(drain) && drains.size === 0 && !draining)
        for (const signal of SIGNALS) process.off(signal, drainAll)
    },
  }
}

let draining = false

function drainAll(signal: NodeJS.Signals): void {
  const exitIsOurs = process.listenerCount(signal) === 1
  if (draining) {
    if (exitIsOurs) endBy(signal)
    return
  }
  draining = true
  void drainedBy([...drains], exitIsOurs ? signal : undefined) // it never rejects
}

/** `signal`: where the exit is ours. */
async function drainedBy(all: readonly Drain[], signal: NodeJS.Signals | undefined): Promise<void> {
  const ends = await Promise.allSettled(all.map((drain) => drain()))
  if (signal !== undefined) {
    if (ends.every((end) => end.status === 'fulfilled' && end.value)) process.exit(0)
    endBy(signal)
  }
  // The application goes on: what it makes from now on is drained at the next signal.
  draining = false
  if (drains.size === 0) for (const name of SIGNALS) process.off(name, drainAll)
}

/** As Node has it where nobody listens. `process.exit` would wait for a thread that waits for a disk, or another process's lock. */
function endBy(signal: NodeJS.Signals): void {
  process.off(signal, drainAll)
  endProcess(signal)
  // Still here: process 1 of a container, which no signal ends that it does not listen to.
  process.exit(1)
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** Every Offstage of this process that wants to be drained at a signal: the handler is the process's, so this is its one list. */
const drains = new Set<() => Promise<unknown>>()

/**
 * At SIGTERM or SIGINT everybody drains; then the process exits with 0 where ours is the only listener. Where the application listens
 * too, its exit is its own. A second signal exits at once with 1.
 */
export function drainAtExit(drain: () => Promise<unknown>): Disposable {
  // While a drain is under way the handler is there already.
  if (drains.size === 0 && !draining) for (const signal of SIGNALS) process.on(signal, drainAll)
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
    if (exitIsOurs) process.exit(1)
    return
  }
  draining = true
  void drainedBy([...drains], exitIsOurs) // it never rejects
}

async function drainedBy(all: readonly (() => Promise<unknown>)[], exitIsOurs: boolean): Promise<void> {
  await Promise.allSettled(all.map((drain) => drain()))
  if (exitIsOurs) process.exit(0)
  // The application goes on: what it makes from now on is drained at the next signal.
  draining = false
  if (drains.size === 0) for (const signal of SIGNALS) process.off(signal, drainAll)
}

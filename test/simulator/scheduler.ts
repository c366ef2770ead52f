import type { Trace } from './trace.ts'

/** Whoever something happens to. */
export interface Actor {
  readonly name: string
  /** Nothing of it ever happens again. */
  readonly gone: boolean
  /** Nothing of it happens until it goes on; then what was due comes first. */
  readonly paused: boolean
}

/** What the others, the store and the invariants can tell of a process. */
export interface Witness extends Actor {
  readonly closing: boolean
  /** It reaches no store. */
  readonly cut: boolean
  /** The others have held it for dead, at some time. */
  readonly wasSilent: boolean
  /** When it last went on after a pause. */
  readonly wentOn: number
  /** The store was told that it leaves. */
  left: boolean
  /** Attempts whose code has not come to its end. */
  performing: number
  /** Code ran on after its attempt was over: what it then tells may leave a timer behind. */
  outlived: boolean
}

/** One thing that will happen; disposed, it will not. */
export interface Happening extends Disposable {
  readonly at: number
  readonly order: number
  readonly actor: Actor | undefined
  readonly what: string
  readonly about: unknown
  call: (() => void) | undefined
}

interface Plan {
  /** The moment: what happens in order is planned by moments that do not go back, and sums of fractions do. */
  readonly at: number
  /** Whose it is; nobody's happens whoever dies. */
  readonly actor?: Actor
  readonly what: string
  readonly about?: unknown
}

/**
 * Virtual time, and all that is going to happen in it, one thing after another. Between two of them every promise that can settle has
 * settled: the engine stands still at awaits that lead out of it, and only there.
 */
export class Scheduler {
  readonly #heap: Happening[] = []
  readonly #held = new Map<Actor, Happening[]>()
  readonly #trace: Trace | undefined
  #now = 0
  #order = 0
  #happened = 0
  #failure: { readonly error: unknown } | undefined

  constructor(trace?: Trace) {
    this.#trace = trace
  }

  /** Milliseconds since the beginning, with fractions. */
  get now(): number {
    return this.#now
  }

  /** How much has happened. */
  get happened(): number {
    return this.#happened
  }

  plan({ at, actor, what, about }: Plan, call: () => void): Happening {
    const happening: Happening = {
      at,
      order: this.#order++,
      actor,
      what,
      about,
      call,
      [Symbol.dispose]() {
        happening.call = undefined
      },
    }
    push(this.#heap, happening)
    return happening
  }

  /** What came while this one was paused happens now, in its order. */
  goOn(actor: Actor): void {
    const held = this.#held.get(actor) ?? []
    this.#held.delete(actor)
    for (const one of held)
      // The same object: whoever may dispose of it holds that one.
      push(this.#heap, Object.assign(one, { at: this.#now, order: this.#order++ }))
  }

  /** What fails outside of any promise that somebody awaits ends the simulation. */
  fail(error: unknown): void {
    this.#failure ??= { error }
  }

  say(actor: Actor | undefined, what: string, about?: unknown): void {
    this.#trace?.add({ at: this.#now, who: actor?.name ?? 'world', what, about })
  }

  /** Lets things happen until `over` says so; rejects with what failed. `false`: nothing was left to happen. */
  run(over: () => boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          if (this.#failure !== undefined) return reject(this.#failure.error)
          if (over()) return resolve(true)
          if (!this.#next()) return resolve(false)
        } catch (error) {
          return reject(error)
        }
        // A tick asked for by a microtask comes when no microtask is left: the cheapest way to wait for all of them.
        void SETTLED.then(later)
      }
      const later = (): void => process.nextTick(step)
      process.nextTick(step)
    })
  }

  #next(): boolean {
    while (true) {
      const next = pop(this.#heap)
      if (next === undefined) return false
      const { actor, call } = next
      if (call === undefined || actor?.gone === true) continue
      if (actor?.paused === true) {
        const held = this.#held.get(actor)
        if (held === undefined) this.#held.set(actor, [next])
        else held.push(next)
        continue
      }
      this.#now = Math.max(this.#now, next.at)
      this.#happened++
      next.call = undefined
      this.#trace?.add({ at: this.#now, who: actor?.name ?? 'world', what: next.what, about: next.about })
      call()
      return true
    }
  }
}

const SETTLED = Promise.resolve()

const isBefore = (a: Happening, b: Happening): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** A binary heap: the earliest first, and of these the one that was planned first. */
function push(heap: Happening[], item: Happening): void {
  let at = heap.length
  heap.push(item)
  while (at > 0) {
    const above = (at - 1) >> 1
    const parent = heap[above]
    if (parent === undefined || !isBefore(item, parent)) break
    heap[at] = parent
    at = above
  }
  heap[at] = item
}

function pop(heap: Happening[]): Happening | undefined {
  const first = heap[0]
  const item = heap.pop()
  if (item === undefined || item === first) return first
  let at = 0
  while (true) {
    let below = at * 2 + 1
    const [left, right] = [heap[below], heap[below + 1]]
    if (left === undefined) break
    if (right !== undefined && isBefore(right, left)) below++
    const child = right !== undefined && isBefore(right, left) ? right : left
    if (!isBefore(child, item)) break
    heap[at] = child
    at = below
  }
  heap[at] = item
  return first
}

import type { Claim, InstanceId } from '../core/claim.ts'
import type { Run } from '../core/run.ts'
import { safely } from '../core/thrown.ts'

/** What happens, by name. Runs and errors are told without what their task's `redact` names: whoever listens writes logs. */
export interface OffstageEvents {
  'run:started': { readonly run: Run }
  'run:succeeded': { readonly run: Run }
  'run:failed': { readonly run: Run; readonly error: unknown }
  'run:canceled': { readonly run: Run }
  /** An attempt failed and another one follows. */
  'run:retried': { readonly run: Run; readonly error: unknown }
  /** A run was taken from an instance that is dead, or past its deadline: it waits again. */
  'run:rescued': { readonly run: { readonly id: string } }
  /** A write of an attempt was refused: it is no longer the current one. */
  'run:fenced': { readonly claim: Claim; readonly task: string }
  /** A failure that a run's code set free: a promise it did not await, a timer that threw. The run's own end is told apart from it. */
  'task:stray': { readonly claim: Claim; readonly task: string; readonly error: unknown }
  /** The event loop was held for a second or longer. `at` is where; null: it could not be asked, and `runs` are those under way. */
  'task:blocking': {
    readonly runs: readonly { readonly claim: Claim; readonly task: string }[]
    readonly ms: number
    readonly at: string | null
  }
  /** Runs of that task and version wait, and no living instance performs them: told once, and again where it comes back. They are kept. */
  'task:unknown': { readonly task: string; readonly version: number; readonly since: Date }
  /** What an operator did by `offstage.runs`. */
  audit: { readonly action: 'cancel' | 'rerun' | 'remove'; readonly run: string; readonly at: Date }
  'instance:dead': { readonly instance: InstanceId }
  'store:unavailable': { readonly error: unknown }
  'store:recovered': object
}

type Listener<E extends keyof OffstageEvents> = (event: OffstageEvents[E]) => void

/** The one instrumentation door: logger, tests and users listen here. A listener that throws is told to `broken` and stops nothing. */
export class Channels {
  readonly #listeners = new Map<keyof OffstageEvents, Set<(event: never) => void>>()
  readonly #broken: (error: unknown) => void

  constructor(broken: (error: unknown) => void) {
    this.#broken = broken
  }

  on<E extends keyof OffstageEvents>(event: E, listener: Listener<E>): () => void {
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners.add(listener))
    return () => {
      listeners.delete(listener)
    }
  }

  /** What is told is made only where somebody listens. */
  tell<E extends keyof OffstageEvents>(event: E, make: () => OffstageEvents[E]): void {
    const listeners = this.#listeners.get(event)
    if (listeners === undefined || listeners.size === 0) return
    const told = make()
    for (const listener of listeners) {
      try {
        const answer: unknown = listener(told as never) // `on` put it under this very event
        if (answer instanceof Promise) answer.catch((error: unknown) => safely(() => this.#broken(error)))
      } catch (error) {
        safely(() => this.#broken(error)) // a logger that throws as well must not stop what told it
      }
    }
  }
}

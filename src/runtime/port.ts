import type { MessagePort, Transferable, Worker } from 'node:worker_threads'

/** kind → [what is asked, what is answered]. */
export type Protocol = Readonly<Record<string, readonly [unknown, unknown]>>

type Request = { readonly ask: number; readonly kind: string; readonly body: unknown }
type Reply = { readonly re: number; readonly ok: boolean; readonly body: unknown }
type End = Pick<MessagePort | Worker, 'postMessage' | 'on' | 'off'>

/** The asking side of a port: each request gets its answer, or rejects with what the other side threw, or with why the port broke. */
export class Asker<P extends Protocol> {
  readonly #port: End
  readonly #open = new Map<number, PromiseWithResolvers<unknown>>()
  #count = 0
  #broken: Error | undefined

  constructor(port: End) {
    this.#port = port
    port.on('message', this.#hear)
  }

  ask<K extends keyof P & string>(kind: K, body: P[K][0], transfer: readonly Transferable[] = []): Promise<P[K][1]> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken)
    const answer = Promise.withResolvers<unknown>()
    const ask = ++this.#count
    // Posting first: what cannot be cloned throws here, and nobody waits for its answer.
    this.#port.postMessage({ ask, kind, body } satisfies Request, [...transfer])
    this.#open.set(ask, answer)
    return answer.promise // the protocol pairs the answer's type with the kind
  }

  /** The other side is gone: everything open, and everything asked later, rejects with this. */
  break(error: Error): void {
    this.#broken = error
    this.#port.off('message', this.#hear)
    for (const answer of this.#open.values()) answer.reject(error)
    this.#open.clear()
  }

  readonly #hear = (message: Reply | object): void => {
    if (!('re' in message)) return
    const answer = this.#open.get(message.re)
    this.#open.delete(message.re)
    if (message.ok) answer?.resolve(message.body)
    else answer?.reject(message.body)
  }
}

/** The answering side: one function per kind, its answer or its failure sent back. Failures travel as `tell` makes them. */
export function answering<P extends Protocol>(
  port: End,
  answers: { readonly [K in keyof P & string]: (body: P[K][0]) => P[K][1] | Promise<P[K][1]> },
  tell: (error: unknown) => unknown,
): void {
  port.on('message', (message: Request | object) => {
    if ('ask' in message) void reply(message) // it never rejects
  })
  async function reply({ ask, kind, body }: Request): Promise<void> {
    try {
      const value = answers[kind as keyof P & string](body) // only an Asker of the same protocol asks
      // A plain value is sent in this turn: a promise's turn costs latency on every commit.
      port.postMessage({ re: ask, ok: true, body: value instanceof Promise ? await value : value } satisfies Reply)
    } catch (error) {
      port.postMessage({ re: ask, ok: false, body: tell(error) } satisfies Reply)
    }
  }
}

/** A module beside this one, compiled or not: threads are started by file, and sources run as `.ts`. */
export const besides = (here: string, name: string): URL =>
  new URL(`./${name}${here.endsWith('.ts') ? '.ts' : '.js'}`, here)

/** What a durable run remembers between attempts; the only thing the rest of `flow` knows of it. */
export interface Journal {
  /** A finished step's JSON text (null: it had no result); undefined: not done yet. */
  recall(name: string): Promise<string | null | undefined>
  /** Resolves once it is on disk; rejects with FencedError where the attempt has lost its run. */
  record(name: string, result: string | null): Promise<void>
}

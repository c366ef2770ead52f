/** What a durable run remembers between attempts; the only thing the rest of `flow` knows of it. */
export type { Journal } from '../runtime/executor.ts'

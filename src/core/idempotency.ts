import { createHash } from 'node:crypto'

/** A key stands for its run that long after the start, in milliseconds; then it is as good as new. */
export const IDEMPOTENCY_FOR = 86_400_000

/** Of a task's name and its input's JSON text: SHA-256 over keys in order, so that it is the same however the object was written. */
export const fingerprintOf = (task: string, input: string | null): string =>
  createHash('sha256')
    .update(`${task}\n${input === null ? '' : canonical(JSON.parse(input))}`)
    .digest('base64url')

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(',')}}`
}

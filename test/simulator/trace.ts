interface Line {
  readonly at: number
  readonly who: string
  readonly what: string
  readonly about: unknown
}

/** What happened, line by line. Kept only where a seed is replayed: writing it costs more than what it tells of. */
export class Trace {
  readonly #lines: string[] = []

  add({ at, who, what, about }: Line): void {
    const words = about === undefined ? '' : ` ${typeof about === 'string' ? about : JSON.stringify(about, shortened)}`
    this.#lines.push(`${at.toFixed(2).padStart(10)} ${who.padEnd(5)} ${what}${words}`)
  }

  get lines(): readonly string[] {
    return this.#lines
  }

  /** The end of the story: what a reader of a failure looks at first. */
  last(count: number): string {
    return this.#lines.slice(-count).join('\n')
  }
}

/** What says nothing of the run at hand: stacks, and the fields that every run has alike. */
const LEFT_OUT = new Set([
  'stack',
  'queue',
  'owner',
  'tags',
  'thread',
  'version',
  'pid',
  'boot',
  'began',
  'pidNamespace',
  'can',
])

const shortened = (key: string, value: unknown): unknown => (LEFT_OUT.has(key) ? undefined : value)

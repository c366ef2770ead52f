/** Anything can be thrown, and reading it may throw again: a getter, a proxy, a `toString`. Then there is nothing to tell. */
export function safely<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** A text or number that a thrown thing holds under that key. */
export const textOf = (thrown: object, key: string): string | undefined =>
  safely(() => {
    const value: unknown = Reflect.get(thrown, key)
    return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
  })

const MESSAGE = 8_192

/** What a thrown thing says of itself, cut to 8 KiB. */
export const messageOf = (thrown: unknown): string =>
  cut((isReadable(thrown) ? textOf(thrown, 'message') : undefined) ?? safely(() => String(thrown)) ?? '', MESSAGE)

export const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text)

/** Its stack, or else what it says. */
export const traceOf = (thrown: unknown): string =>
  (isReadable(thrown) ? textOf(thrown, 'stack') : undefined) ?? messageOf(thrown)

export const isReadable = (thrown: unknown): thrown is object =>
  (typeof thrown === 'object' && thrown !== null) || typeof thrown === 'function'

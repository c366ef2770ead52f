import { NotSerializableError, OffstageError } from './errors.ts'

/** What a payload may be at most: bytes of its JSON, and levels of nesting. */
export interface PayloadLimit {
  readonly bytes: number
  readonly depth: number
}
export interface PayloadLimits {
  readonly input: number
  readonly result: number
  readonly depth: number
}

/**
 * The JSON boundary. What comes back from `decode` equals what was given, or it is refused here with its place.
 * One change: a property whose value is `undefined` is absent. `undefined` itself is `null`: no payload.
 */
export function encode(value: unknown, what: string, limit: PayloadLimit): string | null {
  if (value === undefined) return null
  const text = stringify(value, what, limit)
  // A UTF-16 unit is at most three bytes of UTF-8: short texts need no count.
  const bytes = text.length * 3 > limit.bytes ? Buffer.byteLength(text) : 0
  if (bytes > limit.bytes) throw tooLarge(what, String(bytes), limit)
  return text
}

export const decode = (text: string | null): unknown => (text === null ? undefined : JSON.parse(text))

function stringify(value: unknown, what: string, limit: PayloadLimit): string {
  const walk: Walk = { what, limit, path: [], above: [], bytes: 0, negativeZero: false }
  try {
    inspect(value, walk)
    return walk.negativeZero ? write(value) : JSON.stringify(value)
  } catch (cause) {
    if (cause instanceof OffstageError) throw cause
    // A proxy's trap, a class whose name throws: whatever cannot be read is no JSON.
    throw new NotSerializableError(`${what}: a value that cannot be read`, [...walk.path], { cause })
  }
}

/** Where the walk is: `path` and the objects `above` are pushed and popped, since a copy per value would cost more than the check. */
interface Walk {
  readonly what: string
  readonly limit: PayloadLimit
  readonly path: (string | number)[]
  readonly above: object[]
  /** At least so many bytes of JSON: enough to refuse a huge value before it is written down. */
  bytes: number
  negativeZero: boolean
}

/** Far beyond the limit nothing more is read; near it the whole is, and the refusal can say how large it is. */
function count(bytes: number, walk: Walk): void {
  walk.bytes += bytes
  if (walk.bytes > walk.limit.bytes * 2) throw tooLarge(walk.what, `more than ${walk.bytes}`, walk.limit)
}

const tooLarge = (what: string, size: string, { bytes }: PayloadLimit): OffstageError =>
  new OffstageError(
    'OFFSTAGE_PAYLOAD_TOO_LARGE',
    `${what} has ${size} bytes of JSON; the limit is ${bytes}. Keep the bytes in a file or a table and pass their key.`,
  )

function inspect(value: unknown, walk: Walk): void {
  count(typeof value === 'string' ? value.length + 2 : 1, walk)
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) refuse(String(value), walk)
    if (Object.is(value, -0)) walk.negativeZero = true
    return
  }
  if (typeof value !== 'object') refuse(value === undefined ? 'undefined' : `a ${typeof value}`, walk)
  if (walk.above.includes(value)) refuse('a cycle', walk)
  if (walk.above.length >= walk.limit.depth) refuse(`more than ${walk.limit.depth} levels`, walk)
  walk.above.push(value)
  if (Array.isArray(value)) inspectArray(value, walk)
  else inspectObject(value, walk)
  walk.above.pop()
}

function inspectArray(array: readonly unknown[], walk: Walk): void {
  if (Object.getPrototypeOf(array) !== Array.prototype) refuse('an array of a class', walk)
  if (array.length > walk.limit.bytes * 2) count(array.length, walk) // each item has a byte at least: a huge one is not walked
  for (let index = 0; index < array.length; index++) {
    walk.path.push(index)
    inspect(Object.hasOwn(array, index) ? read(array, index, walk) : undefined, walk)
    walk.path.pop()
  }
  // Keys beside the items would be lost.
  if (Reflect.ownKeys(array).length !== array.length + 1) refuse('an array with keys of its own', walk)
}

function inspectObject(object: object, walk: Walk): void {
  const prototype: unknown = Object.getPrototypeOf(object)
  if (prototype !== Object.prototype && prototype !== null) refuse(`an instance of ${className(prototype)}`, walk)
  for (const key of Reflect.ownKeys(object)) {
    if (typeof key === 'symbol') refuse('a symbol as key', walk)
    walk.path.push(key)
    const value = read(object, key, walk)
    if (value !== undefined) {
      count(key.length + 3, walk)
      inspect(value, walk)
    }
    walk.path.pop()
  }
}

function read(object: object, key: string | number, walk: Walk): unknown {
  const property = Object.getOwnPropertyDescriptor(object, key)
  // A getter may answer otherwise the second time, and what is not enumerable JSON leaves out: neither survives unchanged.
  if (property === undefined || property.get !== undefined || property.set !== undefined) refuse('a getter', walk)
  if (!property.enumerable) refuse('a hidden property', walk)
  return property.value
}

const className = (prototype: unknown): string =>
  typeof prototype === 'object' && prototype !== null && typeof prototype.constructor === 'function'
    ? prototype.constructor.name || 'a class'
    : 'a class'

function refuse(what: string, walk: Walk): never {
  throw new NotSerializableError(`${walk.what}: ${what}`, [...walk.path])
}

/** JSON.stringify writes −0 as 0. Only values that hold one take this slower way. */
function write(value: unknown): string {
  if (Object.is(value, -0)) return '-0'
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${write(member)}`).join(',')}}`
}

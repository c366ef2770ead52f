import { isObject } from './options.ts'

export const REDACTED = '[redacted]'

/** Without what the JSON Pointers name; a pointer into nothing changes nothing. What was given stays as it is. */
export const redacted = (value: unknown, pointers: readonly string[]): unknown =>
  pointers.reduce<unknown>((kept, pointer) => without(kept, partsOf(pointer)), value)

/**
 * The texts and numbers that the pointers name, wherever they may turn up again: in the words of an error, in a logged line. Keys and
 * truth values are none: each would be found everywhere.
 */
export function* secretsIn(value: unknown, pointers: readonly string[]): Generator<string, void, undefined> {
  for (const pointer of pointers) yield* leaves(at(value, partsOf(pointer)), new Set())
}

/** Shorter ones are looked for as whole words: a "7" is in every line. */
const SHORT = 4

/** Takes these out of a text: as they are, as JSON writes them, and as a URL does; also what is left of one at the end of a text that was cut. */
export function scrubber(secrets: ReadonlySet<string>): (text: string) => string {
  if (secrets.size === 0) return (text) => text
  const forms = [...new Set([...secrets].flatMap(formsOf))].toSorted((a, b) => b.length - a.length)
  const pattern = new RegExp(forms.map(patternOf).join('|'), 'g')
  return (text) => withoutRest(text.replaceAll(pattern, REDACTED), forms)
}

const formsOf = (secret: string): readonly string[] => [
  secret,
  JSON.stringify(secret).slice(1, -1),
  encodeURIComponent(secret.toWellFormed()),
]

const patternOf = (form: string): string =>
  form.length < SHORT ? `(?<![A-Za-z0-9_])${RegExp.escape(form)}(?![A-Za-z0-9_])` : RegExp.escape(form)

/** `cut` of thrown.ts may have cut within a secret. */
function withoutRest(text: string, forms: readonly string[]): string {
  if (!text.endsWith('…')) return text
  const body = text.slice(0, -1)
  for (const form of forms)
    for (let length = Math.min(form.length - 1, body.length); length >= SHORT; length--)
      if (body.endsWith(form.slice(0, length))) return `${body.slice(0, -length)}${REDACTED}…`
  return text
}

/** `~1` is a slash, `~0` a tilde (RFC 6901). */
const partsOf = (pointer: string): readonly string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))

function without(value: unknown, [part, ...rest]: readonly string[]): unknown {
  if (part === undefined) return value === undefined ? value : REDACTED
  const inner = member(value, part)
  const kept = without(inner, rest)
  if (kept === inner) return value
  return Array.isArray(value) ? value.with(Number(part), kept) : { ...(value as object), [part]: kept } // it has that member
}

const at = (value: unknown, parts: readonly string[]): unknown => parts.reduce<unknown>(member, value)

const INDEX = /^(?:0|[1-9]\d*)$/

function member(value: unknown, part: string): unknown {
  const has = isObject(value) && Object.hasOwn(value, part) && (!Array.isArray(value) || INDEX.test(part))
  return has ? value[part] : undefined
}

function* leaves(value: unknown, seen: Set<object>): Generator<string, void, undefined> {
  if (typeof value === 'string' && value.trim() !== '') yield value
  else if (typeof value === 'number' || typeof value === 'bigint') yield String(value)
  else if (isObject(value) && !seen.has(value)) {
    seen.add(value)
    for (const inner of Object.values(value)) yield* leaves(inner, seen)
  }
}

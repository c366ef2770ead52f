import { OffstageError } from './errors.ts'

/** Reads one option: the value, frozen and trusted from then on, or `OFFSTAGE_BAD_OPTION`. */
export type Parser<T> = (value: unknown, at: string) => T

/** The one form of every refusal: which option, what was expected, what was given. */
export function refuse(at: string, expected: string, given: unknown): never {
  throw new OffstageError('OFFSTAGE_BAD_OPTION', `\`${at}\` must be ${expected}, got ${show(given)}.`)
}

/** What `api.md` names and this version does not do yet: said, never ignored. */
export function notBuilt(what: string): never {
  throw new OffstageError(
    'OFFSTAGE_BAD_OPTION',
    `\`${what}\` is not available in this version of Offstage. Leave it out.`,
  )
}

/** At most 60 characters of a value: options may hold secrets and long texts. */
function show(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  if (typeof value === 'object')
    return Array.isArray(value)
      ? `an array of ${value.length}`
      : `an object (${value.constructor?.name ?? 'no prototype'})`
  const text = String(value)
  return `${text.length > 60 ? `${text.slice(0, 60)}…` : text} (${typeof value})`
}

export const boolean: Parser<boolean> = (value, at) =>
  typeof value === 'boolean' ? value : refuse(at, 'true or false', value)

/** Well-formed: half of a surrogate pair, as a text that was cut has it, no database gives back as it was. */
export const text: Parser<string> = (value, at) =>
  typeof value === 'string' && value !== '' && value.isWellFormed()
    ? value
    : refuse(at, 'a well-formed text that is not empty', value)

export const callable: Parser<(...args: never) => unknown> = (value, at) =>
  isFunction(value) ? value : refuse(at, 'a function', value)

export const whole =
  (min: number, max: number = Number.MAX_SAFE_INTEGER): Parser<number> =>
  (value, at) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? value
      : refuse(
          at,
          max === Number.MAX_SAFE_INTEGER ? `a whole number from ${min} up` : `a whole number from ${min} to ${max}`,
          value,
        )

export const oneOf =
  <const T extends readonly string[]>(...choices: T): Parser<T[number]> =>
  (value, at) =>
    choices.find((choice) => choice === value) ?? refuse(at, choices.map((choice) => `'${choice}'`).join(' or '), value)

export const texts: Parser<readonly string[]> = (value, at) =>
  Array.isArray(value)
    ? Object.freeze(value.map((item: unknown, index) => text(item, `${at}[${index}]`)))
    : refuse(at, 'an array of texts', value)

/** The value, or what stands for it where it was left out. */
export const optional =
  <T, const D>(parse: Parser<T>, fallback: D): Parser<T | D> =>
  (value, at) =>
    value === undefined ? fallback : parse(value, at)

type Parsed<S> = { readonly [K in keyof S]: S[K] extends Parser<infer T> ? T : never }

/** An object with these keys and no others. `unbuilt` names those that `api.md` has and this version refuses. */
export const shape =
  <S extends Readonly<Record<string, Parser<unknown>>>>(
    parsers: S,
    unbuilt: readonly string[] = [],
  ): Parser<Parsed<S>> =>
  (value, at) => {
    if (!isObject(value) || Array.isArray(value)) refuse(at, 'an object', value)
    const within = (key: string): string => (at === '' ? key : `${at}.${key}`)
    for (const key of Object.keys(value)) {
      if (unbuilt.includes(key) && value[key] !== undefined) notBuilt(within(key))
      if (!Object.hasOwn(parsers, key) && !unbuilt.includes(key))
        refuse(within(key), `left out: known are ${Object.keys(parsers).join(', ')}`, value[key])
    }
    const entries = Object.entries(parsers).map(([key, parse]) => [
      key,
      parse(Object.hasOwn(value, key) ? value[key] : undefined, within(key)),
    ])
    return Object.freeze(Object.fromEntries(entries) as Parsed<S>) // fromEntries forgets which key had which parser
  }

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

export const isFunction = (value: unknown): value is (...args: never) => unknown => typeof value === 'function'

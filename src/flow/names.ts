import { OffstageError } from '../core/errors.ts'
import { refuse, type Parser } from '../core/options.ts'
import { RESERVED } from '../core/waiting.ts'

const LONGEST = 200

/** Of a signal: it is never mistaken for a step's. */
export const signalName: Parser<string> = (value, at) =>
  isName(value) ? value : refuse(at, `a well-formed text of 1 to ${LONGEST} characters`, value)

const ownName: Parser<string> = (value, at) =>
  isName(value) && !value.startsWith(RESERVED)
    ? value
    : refuse(at, `a well-formed text of 1 to ${LONGEST} characters that does not begin with '${RESERVED}'`, value)

/** For one attempt: two of one name would be given one result. */
export function takeName(taken: Set<string>, name: unknown, what: 'step' | 'sleep'): void {
  const own = ownName(name, `ctx.${what}(name)`)
  if (taken.has(own))
    throw new OffstageError(
      'OFFSTAGE_BAD_OPTION',
      `The ${what} "${own}" was begun twice in one attempt. Give each ${what} of a run a name of its own.`,
    )
  taken.add(own)
}

const isName = (value: unknown): value is string =>
  typeof value === 'string' && value.length >= 1 && value.length <= LONGEST && value.isWellFormed()

import type { Awaited } from './outcome.ts'

/** The due time of a run that waits for a signal without a bound: the last moment that a Date can hold. */
export const FOREVER = 8.64e15

/** What a run remembers beside its steps has names that no step can have. */
export const RESERVED = 'offstage:'

/** Where the end of a sleep is remembered: milliseconds since the epoch. */
export const sleepStep = (name: string): string => `${RESERVED}sleep:${name}`

/** Where a signal is remembered: its payload in an array of one; of a wait that timed out, an empty array. */
export const signalStep = ({ name, nth }: Awaited): string => `${RESERVED}signal:${name}#${nth}`

/** Where the end of a wait is remembered, as a sleep's. */
export const waitStep = ({ name, nth }: Awaited): string => `${RESERVED}wait:${name}#${nth}`

/** What a wait left behind, which another time must not find: its end, and that no signal came. Signals that came are kept. */
export const isOfWait = ({ name, result }: { readonly name: string; readonly result: string | null }): boolean =>
  name.startsWith(`${RESERVED}wait:`) || (name.startsWith(`${RESERVED}signal:`) && result === '[]')

/** Signals of one name that a run may have: a sender gone wild must not fill the store. */
export const MOST_SIGNALS = 1_000

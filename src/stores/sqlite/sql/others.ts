/** Answers another number after each commit of any other connection, and never after this one's own. */
export const DATA_VERSION = 'pragma data_version'

/** Of the caller's connection; it cannot be changed within a transaction. */
export const SYNCHRONOUS = 'pragma synchronous'

/** Reads how the statement would be carried out, and carries out nothing. */
export const explain = (text: string): string => `explain ${text}`

/** For callers: what to say on their own connections. */
export const HOW_TO_BEGIN = 'Run `begin immediate` on it first, and `commit` after the start.'
export const MEND_SYNCHRONOUS = 'pragma synchronous = full'

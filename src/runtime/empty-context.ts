import { AsyncLocalStorage } from 'node:async_hooks'

/**
 * What was current when this module was first loaded: at a program's start, nothing. Node 24 has no call for an empty context; a
 * program that first imports Offstage inside a request's handler keeps that request's context alive in every run.
 */
const outside = AsyncLocalStorage.snapshot()

/** Calls with no AsyncLocalStorage store of the caller's: no request is reachable, and none is kept in memory. */
export const inEmptyContext = <T>(call: () => T): T => outside(call)

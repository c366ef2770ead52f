import { OffstageError } from './errors.ts'

export const STATES = ['waiting', 'running', 'succeeded', 'failed', 'canceled'] as const
export type State = (typeof STATES)[number]

export const VERBS = ['claim', 'succeed', 'retry', 'park', 'release', 'rescue', 'fail', 'cancel', 'rerun'] as const
export type RunVerb = (typeof VERBS)[number]

/**
 * The state machine of a run, whole. An absent cell is refused. The table has no conditions: which verb applies is decided
 * before, by `outcome.ts` and `retry.ts`. `docs/reference/lifecycle.md` is generated from it, and each store's schema is held to it.
 */
export const TABLE: Readonly<Record<State, Readonly<Partial<Record<RunVerb, State>>>>> = {
  waiting: { claim: 'running', cancel: 'canceled' },
  running: {
    succeed: 'succeeded',
    retry: 'waiting',
    park: 'waiting',
    release: 'waiting',
    rescue: 'waiting',
    fail: 'failed',
    cancel: 'canceled',
  },
  succeeded: {},
  failed: { rerun: 'waiting' },
  canceled: { rerun: 'waiting' },
}

export const next = (from: State, verb: RunVerb): State => TABLE[from][verb] ?? refuseVerb(from, verb)

/** No verb of an attempt leads out of it: only an operator's `rerun` does. */
export const isDone = (state: State): boolean => Object.keys(TABLE[state]).every((verb) => verb === 'rerun')

function refuseVerb(from: State, verb: RunVerb): never {
  throw new OffstageError('OFFSTAGE_RUN_FINISHED', `A run that is ${from} cannot ${verb}.`)
}

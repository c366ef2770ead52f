import { FORCED_CANCEL_AFTER } from '../../../core/rescue.ts'
import { next, type RunVerb, type State } from '../../../core/run-state.ts'

/** What the state machine makes of it, as SQL. */
export const after = (state: State, verb: RunVerb): string => `'${next(state, verb)}'`

export const WAITING: string = after('running', 'release')
export const RUNNING: string = after('waiting', 'claim')
export const SUCCEEDED: string = after('running', 'succeed')
export const FAILED: string = after('running', 'fail')
export const CANCELED: string = after('running', 'cancel')

/** The guard of every write made for an attempt, in the statement that writes. */
export const CURRENT: string = `id = ?1 and attempt = ?2 and state = ${RUNNING}`

/** Of a run that has left its instance. */
export const LEFT = `instance = null, deadline = null, number = number + 1`
/** Of a run that has ended. */
export const GONE: string = `stage = null, waiting_for = null, ${LEFT}`

/** What a rescue takes from the running runs. A row without an instance is damaged, and nobody performs it. */
export const ORPHANED = `ifnull(instance, '') not in (select id from offstage_instances where not dead)`
/** ?1 now, as no one sets it. */
export const OVERDUE = 'deadline < ?1'
export const CANCEL_OVERDUE: string = `cancel_at <= ?1 - ${FORCED_CANCEL_AFTER}`

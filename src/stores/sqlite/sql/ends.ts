import { ready, STAGES } from './schema.ts'
import { after, CANCELED, CURRENT, GONE, LEFT, SUCCEEDED } from './states.ts'

export const current: string = `select seq from offstage_runs where ${CURRENT}`

/** Asked after an update: also cheaper than RETURNING. */
export const succeed: string = `
update offstage_runs set
  state = ${SUCCEEDED}, finished_at = ?3, result = ?4, error = null, crashes = 0, ${GONE}
where ${CURRENT}`

export const fail: string = `
update offstage_runs set
  state = ${after('running', 'fail')}, finished_at = ?3, reason = ?4, error = ?5, crashes = 0, ${GONE}
where ${CURRENT} and cancel_at is null`

export const cancel: string = `
update offstage_runs set
  state = ${CANCELED}, finished_at = ?3, reason = 'canceled', error = ?4, crashes = 0, ${GONE}
where ${CURRENT}`

/** What becomes of every other end where cancel was requested. */
export const cancelAsAsked: string = `
update offstage_runs set
  state = ${CANCELED}, finished_at = ?3, reason = 'canceled', error = cancel_error, crashes = 0, ${GONE}
where ${CURRENT} and cancel_at is not null`

/** Before the run leaves its instance. ?3 now, ?4 how it came. */
export const keepAttempt: string = `
insert or replace into offstage_attempts (run, attempt, came, instance, started_at, ended_at, error)
select seq, attempt, ?4, instance, ifnull(started_at, ?3), ?3, ?5 from offstage_runs
where ${CURRENT} and cancel_at is null`

/** ?4 due. */
const againAt = (verb: 'retry' | 'park'): string =>
  `state = ${after('running', verb)}, stage = iif(?4 > ?3, ${STAGES.later}, ${STAGES.ready}), due_at = ?4, crashes = 0, ${LEFT}`

export const retry: string = `
update offstage_runs set ${againAt('retry')}, error = ?5
where ${CURRENT}`

/** ?5 the signal that it waits for. */
export const park: string = `
update offstage_runs set ${againAt('park')}, tries = tries - 1, waiting_for = ?5
where ${CURRENT}`

export const release: string = `
update offstage_runs set
  state = ${after('running', 'release')}, stage = ${ready('crashes')}, due_at = ?3, tries = tries - 1, ${LEFT}
where ${CURRENT}`

/** Of the last attempt that is let go. ?2 how many are kept. */
export const surplus: string = `
select attempt from offstage_attempts
where run = ?1
order by attempt desc
limit 1 offset ?2`

export const dropAttempts: string = `delete from offstage_attempts where run = ?1 and attempt <= ?2`
export const dropLogs: string = `delete from offstage_logs where run = ?1 and attempt <= ?2`

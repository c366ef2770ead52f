import { KEPT_EVENTS } from '../../../core/run-events.ts'
import { RESERVED } from '../../../core/waiting.ts'
import { COLUMNS } from '../rows.ts'
import { STAGES } from './schema.ts'
import { after, CANCELED, CURRENT, FAILED, GONE, LEFT, RUNNING, WAITING } from './states.ts'

export const recordStep: string = `
insert into offstage_steps (run, name, result)
select seq, ?3, ?4 from offstage_runs where ${CURRENT}
on conflict (run, name) do nothing`

/** No row: the attempt is fenced, or there is no such step. */
export const stepOf: string = `
select result from offstage_steps
where run = (select seq from offstage_runs where ${CURRENT}) and name = ?3`

/** ?3 how many events, ?4 the last progress among them. */
export const note: string = `
update offstage_runs set
  number = number + ?3, progress = coalesce(?4, progress), trimmed = max(trimmed, number + ?3 - ${KEPT_EVENTS})
where ${CURRENT}
returning seq, number, trimmed`

export const addEvent: string = `insert into offstage_events (run, number, type, data) values (?, ?, ?, ?)`
export const trimEvents: string = `delete from offstage_events where run = ? and number <= ?`

/** A line as JSON: its message may hold what no text of a database can. */
export const addLog: string = `insert into offstage_logs (run, attempt, line) values (?, ?, ?)`
/** ?3 how many are kept. */
export const trimLogs: string = `
delete from offstage_logs
where run = ?1 and attempt = ?2 and seq <= (
  select seq from offstage_logs
  where run = ?1 and attempt = ?2
  order by seq desc
  limit 1 offset ?3)`

export const find: string = `select ${COLUMNS} from offstage_runs where id = ?`

/** ?2 now, ?3 the failure that the run shall end with, ?4 now as no one sets it. */
export const cancelWaiting: string = `
update offstage_runs set
  state = ${after('waiting', 'cancel')}, finished_at = ?2, reason = 'canceled', error = ?3,
  cancel_at = ?4, cancel_error = ?3, ${GONE}
where id = ?1 and state = ${WAITING}`

/** ?2 now, as no one sets it. */
export const askCancel: string = `
update offstage_runs set cancel_at = ?2, cancel_error = ?3, number = number + 1
where id = ?1 and state = ${RUNNING} and cancel_at is null`

/** What the row tells of the attempt that ended the run; one that was canceled while it waited was not ended by one. */
export const keepEnd: string = `
insert into offstage_attempts (run, attempt, came, instance, started_at, ended_at, error)
select seq, attempt, state, null, started_at, finished_at, error from offstage_runs
where id = ?1 and (state = ${FAILED} or state = ${CANCELED}) and started_at is not null
on conflict (run, attempt) do nothing`

/** ?2 now. */
export const rerun: string = `
update offstage_runs set
  state = ${after('failed', 'rerun')}, stage = ${STAGES.ready}, due_at = ?2, tries = 0, crashes = 0,
  reason = null, error = null, result = null, finished_at = null, cancel_at = null, cancel_error = null, ${LEFT}
where id = ?1 and (state = ${FAILED} or state = ${CANCELED})`

/** What a wait left behind: `isOfWait` of core/waiting.ts. */
export const forgetWaits: string = `
delete from offstage_steps
where run = ?1 and (name glob '${RESERVED}wait:*' or (name glob '${RESERVED}signal:*' and result = '[]'))`

export const remove: string = `delete from offstage_runs where id = ?`

/** Signals of one name are numbered from 1: ?2 is the name up to the number, ?3 what is beyond all numbers. */
export const signalsOf: string = `
select name from offstage_steps
where run = ?1 and name > ?2 and name < ?3`

export const addSignal: string = `insert into offstage_steps (run, name, result) values (?, ?, ?)`

export const stateOf: string = `select seq, state, attempt from offstage_runs where id = ?`

/** ?2 the signal's name, ?3 now. */
export const wake: string = `
update offstage_runs set stage = ${STAGES.ready}, due_at = ?3, waiting_for = null, number = number + 1
where seq = ?1 and state = ${WAITING} and waiting_for = ?2`

export const isAlive: string = `select 1 from offstage_instances where id = ? and not dead`

export const join: string = `
insert into offstage_instances (id, pid, boot, began, pid_namespace, can) values (?, ?, ?, ?, ?, ?)
on conflict (id) do nothing`

export const heldBy: string = `
select id, attempt from offstage_runs
where stage = ${STAGES.running} and instance = ?1
order by due_at, seq`

export const leave: string = `delete from offstage_instances where id = ?`

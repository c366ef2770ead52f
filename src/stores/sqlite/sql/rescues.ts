import { ready, STAGES } from './schema.ts'
import { CANCEL_OVERDUE, CANCELED, FAILED, GONE, LEFT, ORPHANED, OVERDUE, WAITING } from './states.ts'

export const markDead: string = `update offstage_instances set dead = 1 where id = ? and not dead`

const running = (which: string): string => `
select seq, id, attempt, crashes, cancel_at is not null, on_crash, tries, max_attempts from offstage_runs
where stage = ${STAGES.running} and ${which}
order by due_at, seq
limit ?2`

export const orphans: string = running(ORPHANED)
export const overdue: string = running(OVERDUE)
export const cancelOverdue: string = running(CANCEL_OVERDUE)

/** Those listed in ?1; what is damaged is passed over. ?2 now, ?3 by how much their crashes grow (null: they are 0), ?4 the failure. */
const LISTED = `where seq in (select value from json_each(?1)) and stage = ${STAGES.running}`
const CRASHES = 'ifnull(crashes + ?3, 0)'

export const keepAttempts: string = `
insert or replace into offstage_attempts (run, attempt, came, instance, started_at, ended_at, error)
select seq, attempt, 'rescued', instance, started_at, ?2, ?3 from offstage_runs
${LISTED} and instance is not null and started_at is not null`

export const waitAgain: string = `
update or ignore offstage_runs set
  state = ${WAITING}, stage = ${ready(CRASHES)}, due_at = ?2, crashes = ${CRASHES}, error = ?4, ${LEFT}
${LISTED}`

/** ?5 why. */
export const giveUp: string = `
update or ignore offstage_runs set
  state = ${FAILED}, finished_at = ?2, crashes = ${CRASHES}, error = ?4, reason = ?5, ${GONE}
${LISTED}`

export const cancelListed: string = `
update or ignore offstage_runs set
  state = ${CANCELED}, finished_at = ?2, crashes = ${CRASHES}, error = cancel_error, reason = 'canceled', ${GONE}
${LISTED}`

/** Which of those in ?1 are running yet: they were passed over. */
export const passedOver: string = `select seq from offstage_runs ${LISTED}`

export const buryDead: string = `
delete from offstage_instances
where dead and id not in (select ifnull(instance, '') from offstage_runs where stage = ${STAGES.running})`

/** Those that ended first. ?1 their state, ?2 not later than then, ?3 how many. */
export const ended: string = `
select seq, finished_at from offstage_runs
where state = ?1 and finished_at <= ?2
order by finished_at, seq
limit ?3`

/** With all that is kept of it. */
export const forget: string = `delete from offstage_runs where seq in (select value from json_each(?))`

export const pages: string = `
select (page_count - freelist_count) * page_size
from pragma_page_count, pragma_freelist_count, pragma_page_size`

import { DEADLINE_GRACE } from '../../../core/rescue.ts'
import { FOREVER } from '../../../core/waiting.ts'
import { COLUMNS } from '../rows.ts'
import { GROUP, RANK, ready, STAGES } from './schema.ts'
import { RUNNING, WAITING } from './states.ts'

/** Bounded: a number that is beyond what JavaScript can hold must not stop whoever asks. */
export const nextDue: string = `
select min(due_at, ${FOREVER}) from offstage_runs
where stage = ${STAGES.later}
order by ${GROUP}, ${RANK}, due_at
limit 1`

/** A storm of runs due at one moment must not hold up the commit: the rest follows with the next claim. */
export const due: string = `
select seq from offstage_runs
where stage = ${STAGES.later} and ${GROUP} = 0 and ${RANK} = 0 and due_at <= ?1
order by due_at
limit 10000`

export const promote: string = `
update or ignore offstage_runs set stage = ${ready('crashes')}
where seq in (select value from json_each(?1))`

/** Whether any is ready, and whether any suspect is. */
export const anyReady: string = `
select
  exists (select 1 from offstage_runs where stage = ${STAGES.ready}),
  exists (select 1 from offstage_runs where stage = ${STAGES.suspect})`

/** Of one kind, from the index alone. ?1 ready or suspect, ?2 the kind, ?3 how many. */
export const candidates: string = `
select seq, ${RANK}, due_at from offstage_runs
where stage = ?1 and ${GROUP} = ?2
order by ${RANK}, due_at, seq
limit ?3`

/** One that is damaged is passed over: it must not stop the others. */
export const claim: string = `
update or ignore offstage_runs set
  state = ${RUNNING}, stage = ${STAGES.running}, waiting_for = null,
  attempt = attempt + 1, tries = tries + 1, number = number + 1,
  instance = ?1, started_at = ?2, deadline = ?4 + timeout + ${DEADLINE_GRACE}
where seq in (select value from json_each(?3)) and state = ${WAITING}`

/** Read after the claim, which need not return them: as RETURNING that costs twice as much. In the order in which they were listed. */
export const claimed: string = `
select ${COLUMNS}, input
from (select rowid as place, value as listed from json_each(?1)) cross join offstage_runs on seq = listed
where stage = ${STAGES.running}
order by place`

/** Those that a transition has passed over: still at ?2 or, up to ?3, beyond it. Nothing looks at them again until a person does. */
export const setAside: string = `
update or ignore offstage_runs set stage = ${STAGES.aside}
where seq in (select value from json_each(?1)) and stage between ?2 and ?3`

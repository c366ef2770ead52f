import { EVENTS_PAGE } from '../../../core/run-events.ts'
import { COLUMNS, STATE } from '../rows.ts'
import { CANCEL_OVERDUE, ORPHANED, OVERDUE } from './states.ts'
import { GROUP, RANK, STAGES } from './schema.ts'

export const find: string = `select ${COLUMNS} from offstage_runs where id = ?`

const OF_THE_RUN = 'run = (select seq from offstage_runs where id = ?1)'

export const events: string = `
select number, type, data from offstage_events
where ${OF_THE_RUN} and number > ?2
order by number
limit ${EVENTS_PAGE}`

export const firstOutput: string = `
select min(number) from offstage_events
where ${OF_THE_RUN} and type = 'output'`

export const steps: string = `
select name, result from offstage_steps
where ${OF_THE_RUN}
order by seq`

export const input: string = `select input from offstage_runs where id = ?`

export const attempts: string = `
select attempt, came, instance, started_at, ended_at, error from offstage_attempts
where ${OF_THE_RUN}
order by attempt`

export const logs: string = `
select attempt, line from offstage_logs
where ${OF_THE_RUN}
order by seq`

export const instances: string = `
select id, pid, boot, began, pid_namespace from offstage_instances
where not dead`

export const performing: string = `
select id, attempt, cancel_at is not null from offstage_runs
where stage = ${STAGES.running} and instance = ?1
order by due_at, seq`

/** What is not asked for is null. */
const FITS = `
  (?1 is null or task = ?1) and (?2 is null or state = ?2) and (?3 is null or queue = ?3) and
  (?4 is null or owner = ?4) and (?5 is null or parent = ?5) and
  (?6 is null or iif(json_valid(tags), exists (select 1 from json_each(tags) where value = ?6), 0))`

/** A blob comes after every text. */
export const list: string = `
select ${COLUMNS} from offstage_runs
where id < ifnull(?7, x'') and ${FITS}
order by id desc
limit ?8`

export const tally: string = `
select ${STATE}, count(*) from offstage_runs
where ${FITS}
group by 1`

/** ?1 now. */
export const overdue: string = `
select exists (
  select 1 from offstage_runs
  where stage = ${STAGES.running} and (${OVERDUE} or ${CANCEL_OVERDUE} or ${ORPHANED}))`

export const registered: string = `select can from offstage_instances where not dead`

export const kinds: string = `select id, task, version, thread from offstage_kinds`

/** The oldest of one kind that was due before ?2. */
export const oldestReady: string = `
select min(due_at) from offstage_runs
where stage = ?1 and ${GROUP} = ?2`

/** Those that became due before ?1, and nobody has looked since. */
export const oldestLater: string = `
select kind, min(due_at) from offstage_runs
where stage = ${STAGES.later} and ${GROUP} = 0 and ${RANK} = 0 and due_at < ?1
group by kind`

import { EVENTS_PAGE } from '../../../core/run-events.ts'
import { COLUMNS } from '../rows.ts'
import { STAGES } from './schema.ts'

export const find: string = `select ${COLUMNS} from runs where id = ?`

export const events: string = `
select number, type, data from events
where run = (select seq from runs where id = ?1) and number > ?2
order by number
limit ${EVENTS_PAGE}`

export const firstOutput: string = `
select min(number) from events
where run = (select seq from runs where id = ?1) and type = 'output'`

export const steps: string = `
select name, result from steps
where run = (select seq from runs where id = ?1)
order by seq`

export const instances: string = `
select id, pid, boot, began, pid_namespace from instances
where not dead`

export const performing: string = `
select id, attempt, cancel_at is not null from runs
where stage = ${STAGES.running} and instance = ?1
order by seq`

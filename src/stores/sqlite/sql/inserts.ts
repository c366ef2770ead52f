import { DEADLINE_GRACE } from '../../../core/rescue.ts'
import { STAGES } from './schema.ts'
import { RUNNING, WAITING } from './states.ts'

/** ?16 its kind, ?17 now, ?18 due, ?19 who performs it from birth, ?20 now as no one sets it. */
export const insert: string = `
insert into offstage_runs (
  id, task, version, thread, queue, priority, max_attempts, timeout, on_crash, owner, tags, parent, input,
  idempotency_key, fingerprint, kind, created_at, due_at, instance,
  state, stage, attempt, tries, started_at, deadline, number)
values (
  ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
  iif(?19 is null, ${WAITING}, ${RUNNING}),
  case when ?19 is not null then ${STAGES.running} when ?18 > ?17 then ${STAGES.later} else ${STAGES.ready} end,
  ?19 is not null,
  ?19 is not null,
  iif(?19 is null, null, ?17),
  iif(?19 is null, null, ?20 + ?8 + ${DEADLINE_GRACE}),
  1 + (?19 is not null))
on conflict (id) do nothing`

/** ?2 who would have performed it from birth. */
export const existing: string = `
select created_at, due_at, state = ${RUNNING} and attempt = 1 and instance is ?2 from offstage_runs
where id = ?1`

/** ?1 task, ?2 owner, ?3 key. Nobody's is not that of an owner without a name. */
export const keyed: string = `
select id, created_at, due_at, fingerprint from offstage_runs
where task = ?1 and ifnull(owner, x'') = ifnull(?2, x'') and idempotency_key = ?3`

export const loseKey: string = `update offstage_runs set idempotency_key = null, fingerprint = null where id = ?`

export const addKind: string = `
insert into offstage_kinds (task, version, thread) values (?, ?, ?)
on conflict do nothing`

/** Append-only: those after the last that is known. */
export const kindsAfter: string = `select id, task, version, thread from offstage_kinds where id > ? order by id`

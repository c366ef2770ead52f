import { DEADLINE_GRACE, FORCED_CANCEL_AFTER, POISONED_AT } from '../../../core/rescue.ts'
import { KEPT_EVENTS } from '../../../core/run-events.ts'
import { next, type RunVerb } from '../../../core/run-state.ts'
import { CANDIDATE_COLUMNS, COLUMNS } from '../rows.ts'
import { ready, STAGES } from './schema.ts'

const from = (state: 'waiting' | 'running', verb: RunVerb): string => `'${next(state, verb)}'`
const WAITING = from('running', 'release')
const RUNNING = from('waiting', 'claim')
const CANCELED = from('running', 'cancel')

/** The guard of every write made for an attempt, in the statement that writes. */
const CURRENT = `id = ?1 and attempt = ?2 and state = ${RUNNING}`

export const current: string = `select 1 from runs where ${CURRENT}`

/** ?14 now, ?15 due, ?16 who performs it from birth. */
export const insert: string = `
insert into runs (
  id, task, version, thread, queue, priority, max_attempts, timeout, on_crash, owner, tags, parent, input,
  created_at, due_at, instance, state, stage, rank, attempt, tries, started_at, deadline, number)
values (
  ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
  ?14, ?15, ?16,
  iif(?16 is null, ${WAITING}, ${RUNNING}),
  case when ?16 is not null then ${STAGES.running} when ?15 > ?14 then ${STAGES.later} else ?4 end,
  iif(?16 is null and ?15 <= ?14, -?6, 0),
  ?16 is not null,
  ?16 is not null,
  iif(?16 is null, null, ?14),
  iif(?16 is null, null, ?14 + ?8 + ${DEADLINE_GRACE}),
  1 + (?16 is not null))
on conflict (id) do nothing`

export const existing: string = `
select created_at, due_at, state = ${RUNNING} and attempt = 1 and instance is ?2 from runs
where id = ?1`

export const isAlive: string = `select 1 from instances where id = ? and not dead`

export const nextDue: string = `
select due_at from runs
where stage = ${STAGES.later}
order by rank, due_at
limit 1`

/** A storm of runs due at one moment must not hold up the commit: the rest follows with the next claim. */
export const promote: string = `
update runs set stage = ${ready('crashes')}, rank = -priority
where seq in (
  select seq from runs
  where stage = ${STAGES.later} and rank = 0 and due_at <= ?1
  order by due_at
  limit 10000)`

/** Whole, so that the claim itself need not return them: as RETURNING that costs twice as much. ?2 [task, version] of those the instance registered. */
export const candidates: string = `
select ${CANDIDATE_COLUMNS} from runs
where stage = ?1 and (task, version) in (select value ->> 0, value ->> 1 from json_each(?2))
order by rank, due_at, seq
limit ?3`

/**
 * The same, of the stage where they should not be: an instance before a deploy may have said `thread` otherwise. Whatever else is
 * there is claimed from the head, so they come to stand there; and only a hundred are looked at, since most are where they belong.
 */
export const misplaced: string = `
select * from (
  select ${CANDIDATE_COLUMNS} from runs
  where stage = ?1
  order by rank, due_at, seq
  limit 100)
where (task, version) in (select value ->> 0, value ->> 1 from json_each(?2))
limit ?3`

export const holdsSuspect: string = `
select 1 from runs
where stage = ${STAGES.running} and instance = ?1 and crashes >= ${POISONED_AT - 1}
limit 1`

export const claim: string = `
update runs set
  state = ${RUNNING}, stage = ${STAGES.running}, rank = 0,
  attempt = attempt + 1, tries = tries + 1, number = number + 1,
  instance = ?1, started_at = ?2, deadline = ?2 + timeout + ${DEADLINE_GRACE}
where seq in (select value from json_each(?3)) and state = ${WAITING}`

const GONE = `stage = null, rank = 0, instance = null, deadline = null, number = number + 1`

/** Asked after an update: also cheaper than RETURNING. */
export const succeed: string = `
update runs set
  state = ${from('running', 'succeed')}, finished_at = ?3, result = ?4, error = null, crashes = 0, ${GONE}
where ${CURRENT}`

export const fail: string = `
update runs set
  state = ${from('running', 'fail')}, finished_at = ?3, reason = ?4, error = ?5, crashes = 0, ${GONE}
where ${CURRENT} and cancel_at is null`

/** ?4 due. */
export const retry: string = `
update runs set
  state = ${from('running', 'retry')}, stage = iif(?4 > ?3, ${STAGES.later}, thread), rank = iif(?4 > ?3, 0, -priority),
  due_at = ?4, error = ?5, crashes = 0, instance = null, deadline = null, number = number + 1
where ${CURRENT} and cancel_at is null`

export const release: string = `
update runs set
  state = ${from('running', 'release')}, stage = ${ready('crashes')}, rank = -priority, due_at = ?3, tries = tries - 1,
  instance = null, deadline = null, number = number + 1
where ${CURRENT} and cancel_at is null`

export const cancel: string = `
update runs set
  state = ${CANCELED}, finished_at = ?3, reason = 'canceled', error = ?4, crashes = 0, ${GONE}
where ${CURRENT}`

/** What becomes of every other end where cancel was requested. */
export const cancelAsAsked: string = `
update runs set
  state = ${CANCELED}, finished_at = ?3, reason = 'canceled', error = cancel_error, crashes = 0, ${GONE}
where ${CURRENT} and cancel_at is not null`

export const recordStep: string = `
insert into steps (run, name, result)
select seq, ?3, ?4 from runs where ${CURRENT}
on conflict (run, name) do nothing`

/** ?3 how many notes, ?4 the last progress among them. */
export const note: string = `
update runs set
  number = number + ?3, progress = coalesce(?4, progress), trimmed = max(trimmed, number + ?3 - ${KEPT_EVENTS})
where ${CURRENT}
returning seq, number, trimmed`

export const addEvent: string = `insert into events (run, number, type, data) values (?, ?, ?, ?)`
export const trimEvents: string = `delete from events where run = ? and number <= ?`

/** ?2 now, ?3 the failure that the run shall end with. */
export const cancelWaiting: string = `
update runs set
  state = ${from('waiting', 'cancel')}, finished_at = ?2, reason = 'canceled', error = ?3,
  cancel_at = ?2, cancel_error = ?3, ${GONE}
where id = ?1 and state = ${WAITING}`

export const askCancel: string = `
update runs set cancel_at = ?2, cancel_error = ?3, number = number + 1
where id = ?1 and state = ${RUNNING} and cancel_at is null`

export const find: string = `select ${COLUMNS} from runs where id = ?`

export const join: string = `
insert into instances (id, pid, boot, began, pid_namespace) values (?, ?, ?, ?, ?)
on conflict (id) do nothing`

export const leave: string = `delete from instances where id = ?`

export const markDead: string = `update instances set dead = 1 where id = ? and not dead`

/** Restates `fateOf` of core/rescue.ts. ?1 now, ?2 how many, ?3 and ?4 the failures poisoned and crashed. */
export const takeBack: string = `
update runs set
  crashes = crashes + 1,
  state = case fate when 'waits' then ${from('running', 'rescue')} when 'canceled' then ${CANCELED} else ${from('running', 'fail')} end,
  stage = iif(fate = 'waits', ${ready('crashes + 1')}, null),
  rank = iif(fate = 'waits', -priority, 0),
  due_at = iif(fate = 'waits', ?1, due_at),
  finished_at = iif(fate = 'waits', null, ?1),
  reason = iif(fate = 'waits', null, fate),
  error = case fate when 'poisoned' then ?3 when 'canceled' then cancel_error else ?4 end,
  instance = null, deadline = null, number = number + 1
from (
  select seq as orphan, case
      when crashes + 1 >= ${POISONED_AT} then 'poisoned'
      when cancel_at is not null then 'canceled'
      when on_crash = 'fail' or tries >= max_attempts then 'crashed'
      else 'waits'
    end as fate
  from runs
  where stage = ${STAGES.running} and instance not in (select id from instances where not dead)
  order by rank, due_at, seq
  limit ?2)
where seq = orphan
returning id, state`

/** ?1 now, ?2 how many. */
export const forceCancel: string = `
update runs set state = ${CANCELED}, finished_at = ?1, reason = 'canceled', error = cancel_error, ${GONE}
where seq in (
  select seq from runs
  where stage = ${STAGES.running} and cancel_at <= ?1 - ${FORCED_CANCEL_AFTER}
  order by rank, due_at, seq
  limit ?2)
returning id, state`

export const buryDead: string = `
delete from instances
where dead and id not in (select instance from runs where stage = ${STAGES.running})`

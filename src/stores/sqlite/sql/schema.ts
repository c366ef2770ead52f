/**
 * Where a run stands among those that are alive: the first column of the one index over them, so that the few that run are one scan.
 * An ended run has none. `aside`: damaged, and in nobody's way.
 */
export const STAGES = { ready: 0, suspect: 1, later: 2, running: 3, aside: 4 } as const

/** The stage of a run that is due, its crashes counted by that expression. */
export const ready = (crashes: string): string => `iif(${crashes} >= 2, ${STAGES.suspect}, ${STAGES.ready})`

/** What is ready lies by kind, so that a claim never walks over what it cannot perform; what is due later lies by time alone. */
export const GROUP = 'iif(stage < 2, kind, 0)'
/** Within its group, what is ready lies by priority first. */
export const RANK = 'iif(stage < 2, -priority, 0)'

/**
 * Append-only: the number of those applied is the schema's version. A released text is never changed. The file may hold tables of others:
 * ours have a prefix. The checks restate the state machine; none has a list of three or more (`in (…)`), for which SQLite would build a
 * table at each row: half of an insert's time.
 */
export const MIGRATIONS: readonly string[] = [
  `
create table offstage_meta (
  only integer primary key check (only = 1),
  version integer not null,
  store text not null
) strict;

insert into offstage_meta values (1, 0, lower(hex(randomblob(16))));

create table offstage_kinds (
  id integer primary key,
  task text not null,
  version integer not null,
  thread integer not null check (thread in (0, 1)),
  unique (task, version, thread)
) strict;

create table offstage_runs (
  seq integer primary key,
  id text not null unique,
  task text not null,
  version integer not null,
  kind integer not null,
  thread integer not null check (thread in (0, 1)),
  queue text not null,
  priority integer not null,
  max_attempts integer not null,
  timeout integer,
  on_crash text not null check (on_crash in ('retry', 'fail')),
  owner text,
  tags text not null,
  parent text,
  idempotency_key text,
  fingerprint text,
  created_at integer not null,
  due_at integer not null,
  waiting_for text,
  state text not null check (
    state = 'waiting' or state = 'running' or state = 'succeeded' or state = 'failed' or state = 'canceled'),
  stage integer check (stage between 0 and 4),
  attempt integer not null,
  tries integer not null,
  crashes integer not null default 0,
  number integer not null,
  trimmed integer not null default 0,
  instance text,
  started_at integer,
  deadline integer,
  finished_at integer,
  cancel_at integer,
  cancel_error text,
  reason text check (
    reason = 'error' or reason = 'timeout' or reason = 'crashed' or reason = 'poisoned' or reason = 'canceled'),
  progress text,
  error text,
  result text,
  input text,
  check ((finished_at is null) = (state in ('waiting', 'running'))),
  check (stage is 4 or (stage is null) = (state not in ('waiting', 'running'))),
  check (stage is 4 or (stage is 3) = (state = 'running')),
  check ((instance is null) = (state <> 'running')),
  check (deadline is null or state = 'running'),
  check (waiting_for is null or state = 'waiting'),
  check ((reason is null) = (state not in ('failed', 'canceled'))),
  check ((cancel_at is null) = (cancel_error is null)),
  check (cancel_at is null or state <> 'waiting'),
  check (result is null or state = 'succeeded'),
  check ((idempotency_key is null) = (fingerprint is null)),
  check (tries between 0 and attempt and crashes <= attempt and trimmed <= number)
) strict;

create index offstage_runs_alive on offstage_runs (stage, ${GROUP}, ${RANK}, due_at) where stage is not null;

create index offstage_runs_ended on offstage_runs (state, finished_at) where finished_at is not null;

create unique index offstage_runs_idempotency on offstage_runs (task, ifnull(owner, x''), idempotency_key)
where idempotency_key is not null;

create table offstage_events (
  run integer not null references offstage_runs on delete cascade,
  number integer not null,
  type text not null check (type in ('progress', 'output')),
  data text not null,
  primary key (run, number)
) strict, without rowid;

create table offstage_steps (
  seq integer primary key,
  run integer not null references offstage_runs on delete cascade,
  name text not null,
  result text,
  unique (run, name)
) strict;

create table offstage_attempts (
  run integer not null references offstage_runs on delete cascade,
  attempt integer not null,
  came text not null check (
    came = 'retry' or came = 'parked' or came = 'released' or came = 'rescued' or came = 'failed' or came = 'canceled'),
  instance text,
  started_at integer not null,
  ended_at integer not null,
  error text,
  primary key (run, attempt)
) strict, without rowid;

create table offstage_logs (
  seq integer primary key,
  run integer not null references offstage_runs on delete cascade,
  attempt integer not null,
  line text not null
) strict;

create index offstage_logs_of on offstage_logs (run, attempt);

create table offstage_instances (
  id text primary key,
  dead integer not null default 0 check (dead in (0, 1)),
  pid integer not null,
  boot text not null,
  began text not null,
  pid_namespace text not null,
  can text not null
) strict, without rowid;
`,
]

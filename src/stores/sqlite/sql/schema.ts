/** 'OfSt': tells our databases from those of others. */
export const APPLICATION_ID = 0x4f665374

/**
 * Where a run stands among those that are alive, and the first column of the one index over them: a claim reads the ready ones in
 * their order, the next due moment is the first of `LATER`, and the few that run are one scan. An ended run has none.
 * Ready is 0, +1 on a thread, +2 where it is suspect (two crashes): each of the four is claimed within bounds of its own.
 */
export const STAGES = { loop: 0, thread: 1, suspect: 2, later: 4, running: 5 } as const

/** The stage of a run that is due, its crashes counted by that expression. */
export const ready = (crashes: string): string => `thread + ${STAGES.suspect} * (${crashes} >= 2)`

/**
 * Append-only: the number of those applied is the schema's version. A released text is never changed. The checks restate the state
 * machine; none has a list of three or more (`in (…)`), for which SQLite would build a table at each row: half of an insert's time.
 */
export const MIGRATIONS: readonly string[] = [
  `
create table runs (
  seq integer primary key,
  id text not null unique,
  task text not null,
  version integer not null,
  thread integer not null check (thread in (0, 1)),
  queue text not null,
  priority integer not null,
  max_attempts integer not null,
  timeout integer,
  on_crash text not null check (on_crash in ('retry', 'fail')),
  owner text,
  tags text not null,
  parent text,
  created_at integer not null,
  due_at integer not null,
  state text not null check (
    state = 'waiting' or state = 'running' or state = 'succeeded' or state = 'failed' or state = 'canceled'),
  stage integer check (stage between 0 and 5),
  rank integer not null,
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
  check ((stage is null) = (state not in ('waiting', 'running'))),
  check ((stage is 5) = (state = 'running')),
  check ((instance is null) = (state <> 'running')),
  check (deadline is null or state = 'running'),
  check ((reason is null) = (state not in ('failed', 'canceled'))),
  check ((cancel_at is null) = (cancel_error is null)),
  check (cancel_at is null or state <> 'waiting'),
  check (result is null or state = 'succeeded'),
  check (tries between 0 and attempt and crashes <= attempt and trimmed <= number)
) strict;

create index runs_alive on runs (stage, rank, due_at) where stage is not null;

create table events (
  run integer not null references runs on delete cascade,
  number integer not null,
  type text not null check (type in ('progress', 'output')),
  data text not null,
  primary key (run, number)
) strict, without rowid;

create table steps (
  seq integer primary key,
  run integer not null references runs on delete cascade,
  name text not null,
  result text,
  unique (run, name)
) strict;

create table instances (
  id text primary key,
  dead integer not null default 0 check (dead in (0, 1)),
  pid integer not null,
  boot text not null,
  began text not null,
  pid_namespace text not null
) strict, without rowid;
`,
]

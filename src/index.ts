export type { CloseReport, DrainReport, Offstage, OffstageOptions, Runs, Store } from './api.ts'
export type { Duration } from './core/duration.ts'
export {
  CanceledError,
  FencedError,
  InvalidInputError,
  NotSerializableError,
  OffstageError,
  RunFailedError,
  ShutdownError,
  TimeoutError,
} from './core/errors.ts'
export type { ErrorCode, InputIssue } from './core/errors.ts'
export type { Json, JsonOf } from './core/json.ts'
export type { Logger } from './core/logger.ts'
export type { RetryOptions } from './core/retry.ts'
export type { RunEvent } from './core/run-events.ts'
export type {
  AttemptDetails,
  LoggedLine,
  Progress,
  ProgressRecord,
  Reason,
  Run,
  RunDetails,
  RunError,
} from './core/run.ts'
export type { ListOptions, Page, RunFilter, Tally } from './core/runs.ts'
export { schedule } from './core/schedule.ts'
export type { Schedule } from './core/schedule.ts'
export type { StandardSchemaV1 } from './core/schema.ts'
export type { Cancellation, RunHandle, StartArgs, StartOptions, Transaction } from './core/start.ts'
export { task } from './core/task.ts'
export type {
  AnyTask,
  DurableContext,
  OwnTransaction,
  StepContext,
  Task,
  TaskContext,
  TaskDefinition,
  WaitOptions,
} from './core/task.ts'
export { createOffstage } from './offstage.ts'

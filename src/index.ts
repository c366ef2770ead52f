export type { CloseReport, Offstage, OffstageOptions } from './api.ts'
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
export type { Progress, ProgressRecord, Reason, Run, RunError } from './core/run.ts'
export { schedule } from './core/schedule.ts'
export type { Schedule } from './core/schedule.ts'
export type { StandardSchemaV1 } from './core/schema.ts'
export type { Cancellation, RunHandle, StartArgs, StartOptions } from './core/start.ts'
export { task } from './core/task.ts'
export type { AnyTask, DurableContext, StepContext, Task, TaskContext, TaskDefinition } from './core/task.ts'
export { createOffstage } from './offstage.ts'

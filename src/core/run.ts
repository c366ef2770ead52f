import type { InstanceId, RunId } from './claim.ts'
import type { LogLevel } from './logger.ts'
import type { State } from './run-state.ts'

/** How far an attempt is. `fraction` is 0–1, computed from `done` and `total` where the task gave those. */
export interface Progress {
  readonly done: number
  readonly total?: number
  readonly message?: string
}
export type ProgressRecord = { readonly fraction?: number } & Partial<Progress>

/** What was thrown, cut to size: message 8 KiB, stack 32 KiB, causes five deep. */
export interface RunError {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
  readonly cause?: RunError
  /** The thrown error said `expose: true`: its words may be shown to a client. */
  readonly expose?: true
}

/** A line that a task's code logged. */
export interface LogLine {
  readonly at: number
  readonly level: LogLevel
  readonly message: string
  /** As JSON, cut to size. */
  readonly fields: string
}

export type Reason = 'error' | 'timeout' | 'crashed' | 'poisoned' | 'canceled'

/** One requested execution of a task, as it is now. */
export interface Run<out O = unknown> {
  readonly id: RunId
  readonly task: string
  readonly version: number
  readonly durable: boolean
  readonly thread: boolean
  readonly state: State
  /** The run has ended: succeeded, failed or canceled. */
  readonly done: boolean
  /** Number of the latest attempt, 0 before the first. It only grows: the fencing number. */
  readonly attempt: number
  /** What counts against `maxAttempts`; a release at shutdown, a sleep and a wait do not. */
  readonly tries: number
  readonly maxAttempts: number
  /** Why it failed or was canceled. */
  readonly reason: Reason | null
  readonly queue: string
  readonly priority: number
  readonly createdAt: Date
  /** When the next (or last) attempt may begin. */
  readonly dueAt: Date
  /** When the latest attempt began. */
  readonly startedAt: Date | null
  readonly finishedAt: Date | null
  /** When an ended run may be forgotten. */
  readonly expiresAt: Date | null
  /** The signal a `waitFor` awaits. */
  readonly waitingFor: string | null
  readonly progress: ProgressRecord | null
  readonly result?: O
  readonly error?: RunError
  readonly cancelRequested: boolean
  readonly owner: string | null
  readonly tags: readonly string[]
  readonly instance: InstanceId | null
  readonly parent: RunId | null
  readonly schedule: string | null
}

/** A run, and the number of its last event: every change that a reader could see takes a number. */
export interface RunSnapshot {
  readonly run: Run
  readonly number: number
}

/** One attempt as people read it. */
export interface AttemptDetails {
  readonly attempt: number
  /** `running` is the one under way. `rescued`: its instance died, or its deadline passed. */
  readonly came: 'running' | 'succeeded' | 'failed' | 'canceled' | 'retry' | 'parked' | 'released' | 'rescued'
  readonly instance: InstanceId | null
  readonly startedAt: Date
  readonly endedAt: Date | null
  readonly error?: RunError
  readonly logs: readonly LoggedLine[]
}
export interface LoggedLine {
  readonly at: Date
  readonly level: LogLevel
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** A run with all that is kept of it. What its task's `redact` names is shown as '[redacted]'. */
export interface RunDetails<out O = unknown> {
  readonly run: Run<O>
  readonly input: unknown
  /** Of the latest 100 attempts. */
  readonly attempts: readonly AttemptDetails[]
  readonly steps: readonly { readonly name: string; readonly result: unknown }[]
}

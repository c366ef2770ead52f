import { onTestFinished } from 'vitest'
import { createOffstage, type Logger, type Offstage, type OffstageOptions } from 'offstage'
import type { OffstageEvents } from '../../src/runtime/channels.ts'

export interface Line {
  readonly level: keyof Logger
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string | undefined
}
type EventName = keyof OffstageEvents
export type Told = { readonly [E in EventName]: { readonly name: E; readonly event: OffstageEvents[E] } }[EventName]

export interface Stage {
  readonly offstage: Offstage
  /** What the logger was given. */
  readonly lines: readonly Line[]
  /** What the listeners were told. */
  readonly told: readonly Told[]
  /** The first such event, of the past or of the future. */
  seen<E extends EventName>(name: E, which?: (event: OffstageEvents[E]) => boolean): Promise<OffstageEvents[E]>
}

const NAMES: readonly EventName[] = [
  'run:started',
  'run:succeeded',
  'run:failed',
  'run:canceled',
  'run:retried',
  'run:rescued',
  'run:fenced',
  'task:stray',
  'task:blocking',
  'instance:dead',
  'store:unavailable',
  'store:recovered',
  'task:unknown',
  'audit',
]

/** An Offstage of one test, on a store in memory, closed after it; and what it logged and told. `until` waits where time is the test's. */
export function stage(options: OffstageOptions = {}, until = <T>(promise: Promise<T>): Promise<T> => promise): Stage {
  const lines: Line[] = []
  const offstage = createOffstage({
    store: 'memory:',
    shutdown: { signals: false },
    logger: listLogger(lines),
    ...options,
  })
  const told: Told[] = []
  const wakes = new Set<() => void>()
  for (const name of NAMES)
    offstage.on(name, (event) => {
      told.push({ name, event } as Told) // each name is told its own event
      for (const wake of wakes) wake()
    })
  onTestFinished(async () => void (await until(offstage.close({ deadline: 200 }))))

  async function seen<E extends EventName>(name: E, which: (event: OffstageEvents[E]) => boolean = () => true) {
    while (true) {
      const found = told.find((one) => one.name === name && which(one.event as OffstageEvents[E]))
      if (found !== undefined) return found.event as OffstageEvents[E]
      await new Promise<void>((resolve) => wakes.add(resolve))
      wakes.clear()
    }
  }
  return { offstage, lines, told, seen }
}

export function listLogger(lines: Line[]): Logger {
  const line =
    (level: keyof Logger) =>
    (fields: object, message?: string): void =>
      void lines.push({ level, fields: { ...fields }, message })
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

/** A promise that somebody else settles. */
export interface Gate {
  readonly opened: Promise<void>
  open(): void
}

export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve }
}

/** What a promise was rejected with; fails the test where it was not. */
export async function failure(promise: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  try {
    await promise
  } catch (error) {
    return error as Error & Record<string, unknown> // whatever it is, the test looks
  }
  throw new Error('It did not reject.')
}

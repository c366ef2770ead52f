import { TimeoutError } from '../../src/core/errors.ts'
import type { Json } from '../../src/core/json.ts'
import { policyOf, task, type DurableContext, type Task, type TaskPolicy } from '../../src/core/task.ts'
import type { Dice } from './dice.ts'
import type { Invariants, Result, Story } from './invariants.ts'
import type { Process } from './process.ts'

/** What every task of the simulation is given. */
export interface Input {
  readonly n: number
  /** How often its code throws before it does not, for those that fail. */
  readonly failures: number
}

export interface WorkloadParts {
  readonly dice: Dice
  readonly invariants: Invariants
  /** Faults are over: code that waits, waits briefly. */
  readonly calm: () => boolean
}

type Body = (attempt: AttemptOf) => Promise<Json>

/** One attempt of one run, as its code sees it. */
interface AttemptOf {
  readonly input: Input
  readonly context: DurableContext
  /** Something of its own that takes time; where the code heeds its signal, it may end there. */
  pause(what: string): Promise<void>
  /** A step whose computing is counted. */
  step(name: string, value: number): Promise<number>
  /** How often the code of this run has thrown. */
  readonly thrown: number
}

const DURABLE = { durable: true, retry: { attempts: 12, initial: 60, max: 500 } } as const
const never = (): never => {
  throw new Error('performed by its process')
}
const kind = (name: string, more: object = {}): Task<Input, Result> =>
  task<Input, Result, true>({ ...DURABLE, name, run: never, ...more })

const child = kind('child')

interface Kind {
  readonly task: Task<Input, Result>
  readonly body: Body
  /** What a run of it comes to where nothing cancels or poisons it. */
  readonly value: (input: Input) => Json
}

/** The kinds of tasks, by name. */
const KINDS: Readonly<Record<string, Kind>> = {
  plain: { task: kind('plain'), body: async ({ input }) => input.n, value: ({ n }) => n },
  child: { task: child, body: async ({ input }) => input.n * 2, value: ({ n }) => n * 2 },
  steps: {
    task: kind('steps'),
    body: async ({ input, step, pause }) => {
      const a = await step('a', input.n + 1)
      await pause('between two steps')
      const b = await step('b', a * 2)
      return a + b
    },
    value: ({ n }) => (n + 1) * 3,
  },
  failing: {
    task: kind('failing', { retry: { attempts: 4, initial: 40, backoff: 'fixed' } }),
    body: async (attempt) => {
      const a = await attempt.step('a', attempt.input.n)
      if (attempt.thrown < attempt.input.failures) throw new Error(`failure ${attempt.thrown + 1}`)
      return a
    },
    value: ({ n }) => n,
  },
  parent: {
    task: kind('parent', { retry: { attempts: 6, initial: 60, max: 500 } }),
    body: async ({ input, context, pause }) => {
      const one = await context.start(child, { n: input.n * 100, failures: 0 })
      await pause('after a child was started')
      const two = await context.start(child, { n: input.n * 100 + 1, failures: 0 })
      const [{ value: a }, { value: b }] = await Promise.all([one.result(), two.result()])
      return [a, b]
    },
    value: ({ n }) => [n * 200, n * 200 + 2],
  },
  telling: {
    task: kind('telling'),
    body: async ({ input, context, pause }) => {
      for (let part = 0; part < 3; part++) {
        context.emit({ attempt: context.attempt, part })
        context.progress(part / 3)
        await pause('between two parts')
      }
      return input.n
    },
    value: ({ n }) => n,
  },
  slow: {
    task: kind('slow', { timeout: 400, retry: { attempts: 40, initial: 30, backoff: 'fixed' } }),
    body: async ({ input, thrown, context, pause }) => {
      // Past its timeout at first, whether it heeds its signal or not.
      for (let part = 0; part < 6 && thrown === 0 && context.attempt < 3; part++) await pause('a slow part')
      return input.n
    },
    value: ({ n }) => n,
  },
  sleeping: {
    task: kind('sleeping'),
    body: async ({ input, context, step, pause }) => {
      const a = await step('a', input.n)
      await context.sleep('a nap', 120)
      await pause('between two sleeps')
      await context.sleep('another', 10)
      return a
    },
    value: ({ n }) => n,
  },
  waiting: {
    task: kind('waiting'),
    body: async ({ input, context, step }) => {
      const a = await step('a', input.n)
      // Without an end of its own: a signal that was taken and is lost leaves it stuck.
      const b = await context.waitFor<number>('go')
      return [a, b]
    },
    value: ({ n }) => [n, n],
  },
  impatient: {
    task: kind('impatient'),
    body: async ({ input, context }) => {
      await context.waitFor<number>('go', { timeout: 150 }).catch(mustBeLate)
      return input.n
    },
    value: ({ n }) => n,
  },
  fragile: { task: kind('fragile', { onCrash: 'fail' }), body: async ({ input }) => input.n, value: ({ n }) => n },
}

function mustBeLate(error: unknown): void {
  if (!(error instanceof TimeoutError)) throw error
}

/** Runs of these wait for a signal `go`, with their own number. */
export const SIGNALED: ReadonlySet<string> = new Set(['waiting', 'impatient'])

/** What is started from outside; children are started by their parents. */
export const STARTED: readonly [string, ...string[]] = [
  'plain',
  'steps',
  'failing',
  'parent',
  'telling',
  'slow',
  'fragile',
  'sleeping',
  'waiting',
  'impatient',
]

/** What a run comes to where its code had its way. */
export const expected = ({ task: name, input }: Story): unknown => KINDS[name]?.value(input as Input) // given by the workload

/** The code of each task, as that process performs it. */
export const tasksOf =
  (parts: WorkloadParts) =>
  (process: Process): readonly TaskPolicy[] =>
    Object.values(KINDS).map(({ task: { name }, body }) => {
      const policy = POLICIES.get(name)
      if (policy === undefined) throw new Error(`"${name}" is no task`)
      const run: TaskPolicy['run'] = (input, context) =>
        perform({ parts, process, policy, body }, { input: input as Input, context: context as DurableContext }) // every task here is durable
      return { ...policy, run }
    })

const POLICIES: ReadonlyMap<string, TaskPolicy> = new Map(
  Object.values(KINDS).flatMap(({ task: one }) => {
    const policy = policyOf(one)
    return policy === undefined ? [] : [[policy.name, policy]]
  }),
)

async function perform(
  by: { readonly parts: WorkloadParts; readonly process: Process; readonly policy: TaskPolicy; readonly body: Body },
  given: { readonly input: Input; readonly context: DurableContext },
): Promise<Result> {
  const { parts, process, body, policy } = by
  const { context, input } = given
  const { dice, invariants, calm } = parts
  const claim = { run: context.id, attempt: context.attempt }
  invariants.begins(process, claim)
  process.performing++
  const heeds = dice.happens(0.5)
  // Code that does not heed its signal may be judged by it all the same.
  if (policy.timeout !== null) context.signal.addEventListener('abort', () => invariants.fails(claim))
  const pause = async (what: string): Promise<void> => {
    const most = calm() ? 20 : dice.pick([0, 1, 5, 30, 200, 900])
    if (most > 0) await process.wait(dice.fraction() * most, what)
    if (heeds) context.signal.throwIfAborted()
  }
  const step = (name: string, value: number): Promise<number> =>
    context.step(name, async () => {
      invariants.computes(claim, name)
      await pause(`within the step ${name}`)
      return value
    })
  try {
    await pause('at its beginning')
    const value = await body({ input, context, pause, step, thrown: invariants.story(context.id).failed.size })
    await pause('at its end')
    return { attempt: context.attempt, value }
  } catch (error) {
    invariants.fails(claim)
    throw error
  } finally {
    process.performing--
    invariants.ends(process, claim)
  }
}

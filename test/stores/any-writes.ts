import fc from 'fast-check'
import { IDEMPOTENCY_FOR } from '../../src/core/idempotency.ts'
import { canceled, failed, released, retryIn, succeeded } from '../../src/core/outcome.ts'
import { STATES } from '../../src/core/run-state.ts'
import type { RunFilter } from '../../src/core/runs.ts'
import { FOREVER, signalStep, sleepStep, waitStep } from '../../src/core/waiting.ts'
import type { Kind, NewRun, Question, Version, Write, WriteOf } from '../../src/stores/store.ts'

// What a list of writes is made of: few runs and instances, so that they meet.
export const RUNS = ['run-1', 'run-2', 'run-3', 'run-4', 'run-5']
export const INSTANCES = ['one', 'two', 'three']
const TASKS = ['mail', 'report']
const boom = { name: 'Error', message: 'boom' }

const run = fc.constantFrom(...RUNS)
const instance = fc.constantFrom(...INSTANCES)
/** Mostly the n-th of those that are there: resolved when it is written. */
const there = fc.oneof({ weight: 1, arbitrary: run }, { weight: 6, arbitrary: fc.constantFrom('0', '1', '2') })
/** Mostly of an attempt that is current: resolved likewise, and told as a distance from it. */
const claim = fc.record({ run: there, attempt: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, -1, 1) })
const text = fc.constantFrom('null', '1', '{"a":"b"}')
const limit = fc.constantFrom(0, 1, 2, 100)
const signalName = fc.constantFrom('go', 'go', 'go#1')

const newRun: fc.Arbitrary<NewRun> = fc.record({
  id: run,
  task: fc.constantFrom('mail', 'mail', 'report'),
  version: fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 2, 2, 1.5),
  thread: fc.boolean(),
  queue: fc.constantFrom('default', 'slow'),
  priority: fc.constantFrom(-1, 0, 0, 1),
  input: fc.option(text),
  delay: fc.constantFrom(0, 0, 0, 5, 20),
  at: fc.constantFrom(null, null, null, 1_000_010, 999_000),
  maxAttempts: fc.constantFrom(1, 2, 3, 100),
  timeout: fc.constantFrom(null, 1_000),
  onCrash: fc.constantFrom('retry', 'retry', 'fail'),
  owner: fc.constantFrom(null, 'ann'),
  tags: fc.constantFrom([], ['a', 'b'], ['ab']),
  parent: fc.constantFrom(null, 'run-1'),
  idempotency: fc.option(
    fc.record({ key: fc.constantFrom('k', 'l'), fingerprint: fc.constantFrom('f', 'f', 'f', 'g') }),
  ),
})
const awaited = fc.record({ name: signalName, nth: fc.constantFrom(1, 1, 2) })
const parking = fc.oneof(
  fc.record({
    kind: fc.constant('parked' as const),
    name: fc.constantFrom('a', 'b').map(sleepStep),
    after: fc.constantFrom(0, 7),
    at: fc.constantFrom(null, null, 1_000_020, 999_000),
    signal: fc.constant(null),
  }),
  fc.record({
    kind: fc.constant('parked' as const),
    name: awaited.map(waitStep),
    after: fc.constantFrom(null, null, 20),
    at: fc.constant(null),
    signal: awaited,
  }),
)
const outcome = fc.oneof(
  text.map((result) => succeeded(result)),
  fc.constantFrom('error', 'timeout').map((reason) => failed(reason as 'error', boom)),
  { weight: 2, arbitrary: fc.constantFrom(0, 7).map((after) => retryIn(after, 'error', boom)) },
  { weight: 3, arbitrary: parking },
  fc.constant(released),
  fc.constant(canceled(boom)),
)
const note = fc.oneof(
  fc.record({ type: fc.constant('progress' as const), data: fc.constantFrom({}, { done: 1, fraction: 0.5 }) }),
  fc.record({ type: fc.constant('output' as const), data: text }),
  fc.record({
    type: fc.constant('log' as const),
    data: fc.record({
      at: fc.constantFrom(1, 2),
      level: fc.constantFrom('debug', 'error'),
      message: fc.constantFrom('', 'hm'),
      fields: text,
    }),
  }),
)
/** Each task once at most, as an instance registers it. */
const can: fc.Arbitrary<readonly Version[]> = fc
  .tuple(
    ...TASKS.map((task) =>
      fc.option(
        fc.record({
          task: fc.constant(task),
          version: fc.constantFrom(1, 1, 1, 2, 3),
          thread: fc.boolean(),
          upcasts: fc.boolean(),
        }),
        { freq: 5 },
      ),
    ),
  )
  .map((versions) => versions.filter((version) => version !== null))

const step = fc.record({
  name: fc.oneof(fc.constantFrom('a', 'b'), awaited.map(signalStep)),
  result: fc.constantFrom(null, '1', '[]'),
})
const age = fc.constantFrom(0, 10, 2_001, FOREVER, FOREVER)
const filter = fc.constantFrom<RunFilter>(
  {},
  ...STATES.map((state) => ({ state })),
  ...TASKS.map((task) => ({ task })),
  { queue: 'slow' },
  { owner: 'ann' },
  { tag: 'a' },
  { parent: 'run-1' },
  { task: 'mail', owner: 'ann', queue: 'default', state: 'waiting' },
)

const kind = <K extends Kind>(
  name: K,
  fields: { [F in keyof Omit<WriteOf<K>, 'kind'>]: fc.Arbitrary<WriteOf<K>[F]> },
): fc.Arbitrary<Write> => fc.record({ kind: fc.constant(name), ...fields }) as unknown as fc.Arbitrary<Write>

const weighted = (weight: number, arbitrary: fc.Arbitrary<Write>) => ({ weight, arbitrary })
const write: fc.Arbitrary<Write> = fc.oneof(
  weighted(4, kind('insert', { run: newRun })),
  weighted(3, fc.record({ kind: fc.constant('insert' as const), run: newRun, claimFor: instance })),
  weighted(1, fc.record({ kind: fc.constant('insert' as const), run: newRun, by: claim })),
  weighted(
    7,
    kind('claim', {
      instance,
      can,
      places: fc.record({
        all: fc.constantFrom(0, 1, 2, 100, 100),
        threads: fc.constantFrom(0, 1, 100),
        suspects: fc.constantFrom(0, 1, 1),
      }),
    }),
  ),
  weighted(7, kind('settle', { claim, outcome })),
  weighted(1, kind('record', { claim, step })),
  weighted(1, kind('note', { claim, notes: fc.array(note, { maxLength: 3 }) })),
  weighted(2, kind('signal', { run: there, name: signalName, payload: text })),
  weighted(
    3,
    kind('control', {
      run: there,
      verb: fc.constantFrom('cancel', 'rerun', 'rerun', 'remove'),
      reason: fc.option(fc.constant('enough')),
    }),
  ),
  weighted(
    3,
    kind('presence', {
      instance: instance.map((id) => ({ id, pid: 1, boot: 'b', began: '1', pidNamespace: 'n' })),
      change: fc.constantFrom('joins', 'joins', 'joins', 'joins', 'leaves'),
      can,
    }),
  ),
  weighted(3, kind('rescue', { dead: fc.constantFrom([], [], [], ...INSTANCES.map((one) => [one])), limit })),
  weighted(
    1,
    kind('prune', {
      retention: fc.record({
        succeeded: age,
        failed: age,
        canceled: age,
        maxBytes: fc.constantFrom(null, null, null, 0),
      }),
      limit,
    }),
  ),
)
const question: fc.Arbitrary<Question> = fc.oneof(
  fc.record({ kind: fc.constant('overdue' as const) }),
  fc.record({ kind: fc.constant('tally' as const), filter }),
  fc.record({ kind: fc.constant('list' as const), filter, before: fc.option(run), limit }),
  fc.record({ kind: fc.constant('unperformed' as const), for: fc.constantFrom(0, 5, 1_000) }),
)
export const stage = fc.record({
  pass: fc.constantFrom(0, 0, 0, 0, 5, 5, 2_001, 10_000, IDEMPOTENCY_FOR),
  batch: fc.array(write, { minLength: 1, maxLength: 4 }),
  question,
})

/** Everybody is there. */
export const BEGIN = {
  pass: 0,
  question: { kind: 'overdue' },
  batch: INSTANCES.map((id) => ({
    kind: 'presence',
    instance: { id, pid: 1, boot: 'b', began: '1', pidNamespace: 'n' },
    change: 'joins',
    can: TASKS.map((task) => ({ task, version: 1, thread: false, upcasts: false })),
  })),
} as const satisfies typeof stage extends fc.Arbitrary<infer S> ? S : never

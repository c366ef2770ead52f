import fc from 'fast-check'
import { memoryStore } from 'offstage/memory'
import { expect, test } from 'vitest'
import { canceled, failed, released, retryIn, succeeded } from '../../src/core/outcome.ts'
import { realClock } from '../../src/runtime/world.ts'
import { Connection } from '../../src/stores/sqlite/connection.ts'
import { layOut } from '../../src/stores/sqlite/files.ts'
import { Reader } from '../../src/stores/sqlite/read.ts'
import { receivedAnswers, receivedBatch, sentAnswers, sentBatch } from '../../src/stores/sqlite/wire.ts'
import { Writer } from '../../src/stores/sqlite/write.ts'
import type { Answer, NewRun, Question, Store, Write } from '../../src/stores/store.ts'
import { tempFolder } from './sqlite-world.ts'

// Random lists of writes, the reference against SQLite (its statements, without its threads): each answer, and at the
// end all that can be seen, must be equal.
const folder = tempFolder()
const RUNS = ['run-1', 'run-2', 'run-3', 'run-4', 'run-5', 'run-6']
const INSTANCES = ['one', 'two', 'three']
const boom = { name: 'Error', message: 'boom' }

const run = fc.constantFrom(...RUNS)
const instance = fc.constantFrom(...INSTANCES)
/** Of the current attempt, mostly: resolved when it is written. */
const claim = fc.record({ run, attempt: fc.constantFrom(0, 0, 0, 0, -1, 1) })
const text = fc.constantFrom('null', '1', '{"a":"b"}')
const limit = fc.constantFrom(0, 1, 2, 100)

const newRun: fc.Arbitrary<NewRun> = fc.record({
  id: run,
  task: fc.constantFrom('mail', 'mail', 'report'),
  version: fc.constantFrom(1, 1, 1, 2, 1.5),
  thread: fc.boolean(),
  queue: fc.constant('default'),
  priority: fc.constantFrom(-1, 0, 0, 1),
  input: fc.option(text),
  delay: fc.constantFrom(0, 0, 0, 5, 20),
  at: fc.constantFrom(null, null, null, 1_000_010, 999_000),
  maxAttempts: fc.constantFrom(1, 2, 3, 100),
  timeout: fc.constantFrom(null, 1_000),
  onCrash: fc.constantFrom('retry', 'retry', 'fail'),
  owner: fc.constantFrom(null, 'ann'),
  tags: fc.constantFrom([], ['a', 'b']),
  parent: fc.constant(null),
})
const outcome = fc.oneof(
  text.map((result) => succeeded(result)),
  fc.constantFrom('error', 'timeout').map((reason) => failed(reason as 'error', boom)),
  fc.constantFrom(0, 7).map((after) => retryIn(after, 'error', boom)),
  fc.constant(released),
  fc.constant(canceled(boom)),
)
const note = fc.oneof(
  fc.record({ type: fc.constant('progress' as const), data: fc.constantFrom({}, { done: 1, fraction: 0.5 }) }),
  fc.record({ type: fc.constant('output' as const), data: text }),
)
const versions = fc.subarray(
  ['mail', 'report'].flatMap((task) => [false, true].map((thread) => ({ task, version: 1, thread }))),
)
const write: fc.Arbitrary<Write> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('insert' as const), run: newRun }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('insert' as const), run: newRun, claimFor: instance }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('insert' as const), run: newRun, by: claim }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('claim' as const),
      instance,
      can: fc.oneof({ weight: 1, arbitrary: versions }, { weight: 2, arbitrary: fc.constant(ALL()) }),
      places: fc.record({ all: fc.constantFrom(0, 1, 2, 100), threads: fc.constantFrom(0, 1, 100) }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('settle' as const), claim, outcome }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('record' as const),
      claim,
      step: fc.record({ name: fc.constantFrom('a', 'b'), result: fc.option(text) }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('note' as const), claim, notes: fc.array(note, { maxLength: 3 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('control' as const),
      run,
      verb: fc.constant('cancel' as const),
      reason: fc.option(fc.constant('enough')),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('presence' as const),
      instance: instance.map((id) => ({ id, pid: 1, boot: 'b', began: '1', pidNamespace: 'n' })),
      change: fc.constantFrom('joins', 'joins', 'joins', 'leaves'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('rescue' as const),
      dead: fc.subarray(INSTANCES, { maxLength: 1 }),
      limit,
    }),
  },
)
const stage = fc.record({
  pass: fc.constantFrom(0, 0, 0, 5, 10_000),
  batch: fc.array(write, { minLength: 1, maxLength: 6 }),
})

function ALL() {
  return ['mail', 'report'].flatMap((task) => [false, true].map((thread) => ({ task, version: 1, thread })))
}

type Side = { write(batch: readonly Write[]): Promise<readonly Answer[]>; read(question: Question): Promise<unknown> }

/** An attempt is told as a distance from the current one. */
async function resolve(batch: readonly Write[], store: Store): Promise<readonly Write[]> {
  const currents = await Promise.all(RUNS.map((id) => store.read({ kind: 'find', run: id })))
  const attemptOf = (id: string) => currents[RUNS.indexOf(id)]?.attempt ?? 1
  const moved = <T extends { readonly run: string; readonly attempt: number }>(of: T): T => ({
    ...of,
    attempt: of.attempt + attemptOf(of.run),
  })
  return batch.map((one): Write => {
    if ('claim' in one) return { ...one, claim: moved(one.claim) }
    return one.kind === 'insert' && one.by ? { ...one, by: moved(one.by) } : one
  })
}

/** Rescues answer in no order, refusals in words of their own. */
function comparable(answer: Answer): unknown {
  if (typeof answer === 'string') return answer
  if ('refused' in answer) return answer.refused
  return 'ended' in answer ? { waiting: [...answer.waiting].sort(), ended: [...answer.ended].sort() } : answer
}

async function everything(side: Side): Promise<unknown> {
  const sorted = async (question: Question) =>
    ((await side.read(question)) as readonly unknown[]).map((one) => JSON.stringify(one)).sort()
  return {
    runs: await Promise.all(RUNS.map((id) => side.read({ kind: 'events', run: id, after: 0 }))),
    steps: await Promise.all(RUNS.map((id) => side.read({ kind: 'steps', run: id }))),
    instances: await sorted({ kind: 'instances' }),
    performing: await Promise.all(INSTANCES.map((id) => sorted({ kind: 'performing', instance: id }))),
  }
}

let databases = 0
function sqliteSide(now: () => number): Side & Disposable {
  const path = `${folder}/${++databases}.db`
  layOut(path)
  const connection = new Connection({ path, readOnly: false })
  const [writer, reader] = [new Writer(connection, now), new Reader(connection)]
  return {
    write: async (batch) => receivedAnswers(sentAnswers(writer.write(receivedBatch(sentBatch(batch))))),
    read: async (question) => reader.answer(question),
    [Symbol.dispose]: () => connection.close(),
  }
}

test('whatever is written, SQLite answers and keeps what the reference does', { timeout: 60_000 }, async () => {
  let claimed = 0
  await fc.assert(
    fc.asyncProperty(fc.array(stage, { minLength: 1, maxLength: 30 }), async (stages) => {
      let now = 1_000_000
      const memory = memoryStore({ clock: { ...realClock, now: () => now } })
      const reference: Side = { write: (batch) => memory.write(batch), read: (question) => memory.read(question) }
      using sqlite = sqliteSide(() => now)
      for (const { pass, batch } of stages) {
        now += pass
        const writes = await resolve(batch, memory)
        const [expected, answers] = [await reference.write(writes), await sqlite.write(writes)]
        expect(answers.map(comparable)).toEqual(expected.map(comparable))
        claimed += expected.filter(
          (answer) => typeof answer === 'object' && 'claimed' in answer && answer.claimed,
        ).length
      }
      expect(await everything(sqlite)).toEqual(await everything(reference))
    }),
    { numRuns: 200 },
  )
  expect(claimed).toBeGreaterThan(100)
})

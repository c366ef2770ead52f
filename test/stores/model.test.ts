import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { memoryStore } from 'offstage/memory'
import { afterAll, expect, test } from 'vitest'
import type { Claim } from '../../src/core/claim.ts'
import type { Moment } from '../../src/core/clock.ts'
import { realClock } from '../../src/runtime/world.ts'
import { Connection } from '../../src/stores/sqlite/connection.ts'
import { layOut } from '../../src/stores/sqlite/files.ts'
import { Reader } from '../../src/stores/sqlite/read.ts'
import { receivedAnswers, receivedBatch, sentAnswers, sentBatch } from '../../src/stores/sqlite/wire.ts'
import { Writer } from '../../src/stores/sqlite/write.ts'
import type { Answer, Question, RunRecord, Write } from '../../src/stores/store.ts'
import { BEGIN, INSTANCES, RUNS, stage } from './any-writes.ts'

// Random lists of writes, the reference against SQLite (its statements, without its threads): each answer, and at the
// end all that can be seen, must be equal. OFFSTAGE_MODEL_RUNS=20000 tries that many lists; without it, as many as take seconds.
const LISTS = Number(process.env['OFFSTAGE_MODEL_RUNS'] ?? 500)
/** What was found by then is told: making a list that fails as short as it can be takes long. */
const MOST = 20_000 + LISTS * 200
/** In memory where the system has such a folder: nothing is cut off here, and no disk need be waited for. */
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'offstage-model-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

type Side = { write(batch: readonly Write[]): Promise<readonly Answer[]>; read(question: Question): Promise<unknown> }

async function resolve(batch: readonly Write[], side: Side): Promise<readonly Write[]> {
  const known = (await side.read({ kind: 'list', filter: {}, before: null, limit: 100 })) as readonly RunRecord[] // it is that question's answer
  const running = known.filter(({ state }) => state === 'running')
  const nth = (runs: readonly RunRecord[], one: string) =>
    RUNS.includes(one) ? one : (runs[Number(one) % runs.length]?.id ?? RUNS[0]!)
  const resolved = (asked: Claim): Claim => {
    const id = nth(running, asked.run)
    return { run: id, attempt: asked.attempt + (known.find((one) => one.id === id)?.attempt ?? 1) }
  }
  return batch.map((one): Write => {
    if ('claim' in one) return { ...one, claim: resolved(one.claim) }
    if (one.kind === 'control' || one.kind === 'signal') return { ...one, run: nth(known, one.run) }
    return one.kind === 'insert' && one.by ? { ...one, by: resolved(one.by) } : one
  })
}

/** Rescues answer in no order, refusals in words of their own. */
function comparable(answer: Answer): unknown {
  if (typeof answer === 'string') return answer
  if ('refused' in answer) return answer.refused
  return 'ended' in answer
    ? { dead: answer.dead.toSorted(), waiting: answer.waiting.toSorted(), ended: answer.ended.toSorted() }
    : answer
}

const UNORDERED: readonly Question['kind'][] = ['instances', 'performing', 'unperformed']

async function asked(side: Side, question: Question): Promise<unknown> {
  const answer = await side.read(question)
  if (!UNORDERED.includes(question.kind)) return answer
  return (answer as readonly unknown[]).map((one) => JSON.stringify(one)).sort() // these are lists
}

const EVERYTHING: readonly Question[] = [
  ...RUNS.flatMap((id): readonly Question[] => [
    { kind: 'find', run: id },
    { kind: 'events', run: id, after: 0 },
    { kind: 'steps', run: id },
    { kind: 'details', run: id },
  ]),
  ...INSTANCES.map((id): Question => ({ kind: 'performing', instance: id })),
  { kind: 'instances' },
  { kind: 'list', filter: {}, before: null, limit: 100 },
  { kind: 'tally', filter: {} },
  { kind: 'overdue' },
  { kind: 'unperformed', for: 0 },
]

let databases = 0
function sqliteSide(now: () => number): Side & Disposable {
  const path = `${folder}/${++databases}.db`
  layOut(path)
  const connection = new Connection({ path, readOnly: false })
  const time = (): Moment => ({ now: now(), steady: now() })
  const [writer, reader] = [new Writer(connection, time), new Reader(connection, time)]
  return {
    write: async (batch) => receivedAnswers(sentAnswers(writer.write(receivedBatch(sentBatch(batch))))),
    read: async (question) => reader.answer(question),
    [Symbol.dispose]: () => connection.close(),
  }
}

/** What the lists must lead to between them, so that nothing is left out unseen. */
const WAYS: readonly string[] = [
  ...['created', 'existing', 'by key', 'fenced', 'OFFSTAGE_IDEMPOTENCY_MISMATCH'].map((way) => `insert: ${way}`),
  ...['claimed', 'nothing', 'dead'].map((way) => `claim: ${way}`),
  ...['waiting', 'succeeded', 'failed', 'canceled', 'fenced'].map((way) => `settle: ${way}`),
  ...['done', 'kept', 'fenced'].map((way) => `record: ${way}`),
  ...['done', 'finished', 'unknown'].map((way) => `signal: ${way}`),
  ...['cancel', 'rerun', 'remove', 'refused'].map((way) => `control: ${way}`),
  ...['waiting', 'ended', 'nothing'].map((way) => `rescue: ${way}`),
  ...['something', 'nothing'].map((way) => `prune: ${way}`),
]
function wayOf(write: Write, answer: Answer): string {
  if (typeof answer === 'string') return answer
  if ('refused' in answer) return answer.refused
  if ('disposition' in answer)
    return write.kind === 'insert' && answer.id !== write.run.id ? 'by key' : answer.disposition
  if ('claimed' in answer) return answer.claimed.length > 0 ? 'claimed' : 'nothing'
  if ('state' in answer) return answer.state
  if ('kept' in answer) return 'kept'
  if ('removed' in answer) return answer.removed > 0 ? 'something' : 'nothing'
  if ('done' in answer) return answer.done && write.kind === 'control' ? write.verb : 'refused'
  return answer.waiting.length > 0 ? 'waiting' : answer.ended.length > 0 ? 'ended' : 'nothing'
}

test('whatever is written, SQLite answers and keeps what the reference does', { timeout: MOST + 10_000 }, async () => {
  const reached = new Set<string>()
  await fc.assert(
    fc.asyncProperty(fc.array(stage, { minLength: 1, maxLength: 40, size: 'max' }), async (stages) => {
      let now = 1_000_000
      const memory = memoryStore({ clock: { ...realClock, now: () => now, monotonic: () => now } })
      const reference: Side = { write: (batch) => memory.write(batch), read: (question) => memory.read(question) }
      using sqlite = sqliteSide(() => now)
      for (const { pass, batch, question } of [BEGIN, ...stages]) {
        now += pass
        const writes = await resolve(batch, reference)
        const [expected, answers] = [await reference.write(writes), await sqlite.write(writes)]
        expect(answers.map(comparable)).toEqual(expected.map(comparable))
        expect(await asked(sqlite, question)).toEqual(await asked(reference, question))
        for (const [index, one] of expected.entries())
          reached.add(`${writes[index]!.kind}: ${wayOf(writes[index]!, one)}`)
      }
      for (const one of EVERYTHING) expect(await asked(sqlite, one)).toEqual(await asked(reference, one))
    }),
    { numRuns: LISTS, interruptAfterTimeLimit: MOST, markInterruptAsFailure: true },
  )
  expect([...reached]).toEqual(expect.arrayContaining([...WAYS]))
})

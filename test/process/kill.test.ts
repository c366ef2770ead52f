import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'

const KILLS = 20
const RUNS = 200
const SERVER = new URL('fixtures/server.ts', import.meta.url)

const folder = mkdtempSync(join(tmpdir(), 'offstage-kill-'))
const database = join(folder, 'runs.db')
const journalFile = join(folder, 'journal')
const acknowledged = new Set<string>()
const refused: string[] = []
/** What was under way in the process, at each kill: begun there, and its end not told. */
const hit: string[][] = []
/** What was running by the store's word at each kill: also what was claimed and had not begun. */
const held: unknown[] = []

const lines = (): string[][] =>
  existsSync(journalFile)
    ? readFileSync(journalFile, 'utf8')
        .trim()
        .split('\n')
        .map((line) => line.split(' '))
    : []

async function begin(): Promise<ChildProcess> {
  // Plain Node on the built package, as a user runs it.
  const server = fork(SERVER, {
    execArgv: [],
    env: { ...process.env, DATABASE: database, JOURNAL: journalFile },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  server.on('message', (message: { acknowledged?: string; refused?: string } | 'ready') => {
    if (message === 'ready') return
    if (message.acknowledged !== undefined) acknowledged.add(message.acknowledged)
    if (message.refused !== undefined) refused.push(message.refused)
  })
  await once(server, 'message')
  return server
}

async function kill(server: ChildProcess): Promise<void> {
  const gone = once(server, 'exit')
  server.kill('SIGKILL')
  await gone
  const mine = lines().filter((words) => words.at(-1) === String(server.pid))
  const settled = new Set(mine.filter(([what]) => what === 'settled').map(([, id]) => id))
  using db = opened()
  held.push(
    ...db
      .prepare("select id from runs where state = 'running'")
      .all()
      .map(({ id }) => id),
  )
  hit.push(mine.flatMap(([what, id = '']) => (what === 'begin' && !settled.has(id) ? [id] : [])))
}

/** The storm's own chance, so that a failing run can be looked at again. */
const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
let state = SEED
const chance = (from: number, to: number): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
  return from + (state / 2 ** 32) * (to - from)
}

beforeAll(async () => {
  console.log(`kill storm, SEED=${SEED}`)
  let started = 0
  for (let round = 1; round <= KILLS; round++) {
    const server = await begin()
    const share = Math.ceil((RUNS * round) / KILLS) - started
    const until = chance(300, 600)
    for (let index = 0; index < share; index++) {
      server.send({ ms: Math.round(chance(50, 500)) })
      started++
      await sleep(until / share)
    }
    await kill(server)
  }
  const last = await begin()
  await waitForEnds()
  const gone = once(last, 'exit')
  last.kill('SIGTERM')
  const [code] = await gone
  expect(code).toBe(0)
}, 120_000)

afterAll(() => rmSync(folder, { recursive: true }))

async function waitForEnds(): Promise<void> {
  using db = opened()
  const left = db.prepare("select count(*) as n from runs where state in ('waiting', 'running')")
  for (let tries = 0; tries < 600 && left.get()?.['n'] !== 0; tries++) await sleep(50)
}

function opened(): DatabaseSync & Disposable {
  const db = new DatabaseSync(database, { readOnly: true })
  return Object.assign(db, { [Symbol.dispose]: () => db.close() })
}

test('at least 15 of the 20 kills hit a running attempt', () => {
  expect(hit.filter((ids) => ids.length > 0).length).toBeGreaterThanOrEqual(15)
})

test('every acknowledged run has exactly one recorded end', () => {
  using db = opened()
  const rows = db.prepare('select id, state, reason from runs').all()
  const states = new Map(rows.map((row) => [row['id'], row]))
  expect(acknowledged.size).toBeGreaterThan(RUNS / 2)
  const unfinished = [...acknowledged].filter(
    (id) => states.get(id)?.['state'] !== 'succeeded' && states.get(id)?.['reason'] !== 'poisoned',
  )
  expect(unfinished).toEqual([])
  const ends = lines()
    .filter(([what]) => what === 'settled')
    .map(([, id]) => id)
  expect(new Set(ends).size).toBe(ends.length)
  expect(refused).toEqual([])
})

test('only a run that was hit three times ends poisoned', () => {
  using db = opened()
  for (const row of db.prepare("select id from runs where reason = 'poisoned'").all()) {
    expect(held.filter((id) => id === row['id']).length).toBeGreaterThanOrEqual(3)
  }
})

test('no finished step ran twice', () => {
  const done = new Set<string>()
  const again: string[] = []
  for (const [what, ...step] of lines()) {
    if (what === 'step-done') done.add(step.join(' '))
    if (what === 'step' && done.has(step.join(' '))) again.push(step.join(' '))
  }
  expect(done.size).toBeGreaterThan(RUNS)
  expect(again).toEqual([])
})

test('no more runs are repeated than were under way at a kill', () => {
  const begins = lines().flatMap(([what, id = '']) => (what === 'begin' ? [id] : []))
  expect(begins.length - new Set(begins).size).toBeLessThanOrEqual(hit.flat().length)
})

test('the database is whole', () => {
  using db = opened()
  expect(db.prepare('pragma integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
})

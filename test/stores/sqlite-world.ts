import type { Moment } from '../../src/core/clock.ts'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Opened } from 'offstage/testing/store-contract'
import { afterAll, onTestFinished } from 'vitest'
import { Connection } from '../../src/stores/sqlite/connection.ts'
import { layOut } from '../../src/stores/sqlite/files.ts'
import { Reader } from '../../src/stores/sqlite/read.ts'
import { SqliteStore } from '../../src/stores/sqlite/store.ts'
import { receivedAnswers, receivedBatch, sentAnswers, sentBatch } from '../../src/stores/sqlite/wire.ts'
import { Writer } from '../../src/stores/sqlite/write.ts'
import type { Answer, Question, Write } from '../../src/stores/store.ts'

// A storage thread loads its sources anew: kept compiled, that takes 40 ms instead of 140.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'offstage-compiled')

/** A folder for this file's databases, gone with it. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'offstage-sqlite-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A store at that path, open, whose time stands still until it is moved. */
export async function openedIn(path: string): Promise<Opened> {
  const time = new Float64Array(new SharedArrayBuffer(8))
  time[0] = 1_795_000_000_000
  const store = new SqliteStore({ path, time })
  await store.open()
  const another = async (): Promise<SqliteStore> => {
    const other = new SqliteStore({ path, time })
    onTestFinished(() => other.close())
    await other.open()
    return other
  }
  return { store, another, clock: { now: () => time[0]!, pass: (ms) => void (time[0]! += ms) } } // the clock answers nothing
}

export interface WithoutThreads extends Disposable {
  write(...batch: readonly Write[]): readonly Answer[]
  read(question: Question): unknown
  pass(ms: number): void
}

/** The store's statements at that path, on this thread. */
export function withoutThreads(path: string): WithoutThreads {
  layOut(path)
  let now = 1_795_000_000_000
  const connection = new Connection({ path, readOnly: false })
  const time = (): Moment => ({ now, steady: now })
  const [writer, reader] = [new Writer(connection, time), new Reader(connection, time)]
  return {
    write: (...batch) => receivedAnswers(sentAnswers(writer.write(receivedBatch(sentBatch(batch))))),
    read: (question) => reader.answer(question),
    pass: (ms) => void (now += ms), // the clock answers nothing
    [Symbol.dispose]: () => connection.close(),
  }
}

export const fixtureFile = (name: string): string => fileURLToPath(new URL(`fixtures/${name}.ts`, import.meta.url))

export interface Fixture {
  readonly child: ChildProcess
  /** Its first line. */
  readonly said: Promise<string>
  /** Its exit code. */
  readonly ended: Promise<number | null>
}

/** A process of its own; ended with the test, whatever becomes of it. */
export function fixture(name: string, args: readonly string[], execArgv: readonly string[] = []): Fixture {
  const child = spawn(process.execPath, [...execArgv, fixtureFile(name), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  const lines = createInterface({ input: child.stdout })
  const said = Promise.race([once(lines, 'line').then(([line]) => String(line)), ended.then(() => '(it ended)')])
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { child, said, ended }
}

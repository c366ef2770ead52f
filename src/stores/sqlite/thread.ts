import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import type { Moment } from '../../core/clock.ts'
import { toFailure } from '../../core/failure.ts'
import { answering } from '../../runtime/port.ts'
import { realClock, steadyTime } from '../../runtime/world.ts'
import type { Question, QuestionKind, Questions } from '../store.ts'
import { Connection } from './connection.ts'
import { storeError } from './failures.ts'
import { layOut } from './files.ts'
import { Reader } from './read.ts'
import { DATA_VERSION } from './sql/others.ts'
import { TxCheck, type Asked } from './tx-check.ts'
import { Wake } from './wake.ts'
import { receivedBatch, sentAnswers } from './wire.ts'
import { Writer } from './write.ts'

/** What store.ts asks of a storage thread: of the one that writes, or of the one that reads. */
export type StorageProtocol = {
  readonly open: readonly [null, null]
  readonly write: readonly [batch: string, answers: string]
  readonly read: readonly [Question, Questions[QuestionKind][1]]
  /** Of `ctx.tx`, on the thread that reads: what is wrong with it; null: nothing is. */
  readonly check: readonly [Asked, string | null]
  readonly close: readonly [null, null]
}
/** What the thread that writes says unasked: somebody else has committed. */
export interface Changed {
  readonly changed: true
}

export interface StorageData {
  readonly path: string
  readonly readOnly: boolean
  /** The store's now, in place of the real one: for tests. */
  readonly time: Float64Array | undefined
}

/** What a thread answers with, once it is open; closed with it. */
type Side = Pick<Answers, 'write' | 'read' | 'check'> & { close(): void }
type Answers = { readonly [K in keyof StorageProtocol]: (body: StorageProtocol[K][0]) => StorageProtocol[K][1] }

function serve(port: MessagePort, data: StorageData): void {
  let side: Side | undefined
  const opened = (): Side => side ?? notHere()
  answering<StorageProtocol>(
    port,
    {
      open: () => {
        side = data.readOnly ? readingSide(data) : writingSide(data, port)
        return null
      },
      close: () => {
        side?.close()
        return null
      },
      write: (batch) => opened().write(batch),
      read: (question) => opened().read(question),
      check: (asked) => opened().check(asked),
    },
    (error) => toFailure(storeError(error, data.path)),
  )
}

function writingSide(data: StorageData, port: MessagePort): Side {
  const { path } = data
  layOut(path)
  const connection = new Connection({ path, readOnly: false })
  const writer = new Writer(connection, timeOf(data))
  const { version } = connection.prepare({ version: DATA_VERSION })
  const wake = new Wake({
    file: `${path}-wal`,
    clock: realClock,
    version: () => Number(version.row()?.[0]),
    changed: () => port.postMessage({ changed: true } satisfies Changed),
  })
  return {
    write: (batch) => sentAnswers(writer.write(receivedBatch(batch))),
    read: notHere,
    check: notHere,
    close: () => {
      wake[Symbol.dispose]()
      connection.close()
    },
  }
}

function readingSide(data: StorageData): Side {
  const connection = new Connection({ path: data.path, readOnly: true })
  const reader = new Reader(connection, timeOf(data))
  let check: TxCheck | undefined
  return {
    write: notHere,
    read: (question) => reader.answer(question),
    check: (asked) => (check ??= new TxCheck(data.path)).mistake(asked),
    close: () => {
      check?.close()
      connection.close()
    },
  }
}

const timeOf =
  ({ time }: StorageData): (() => Moment) =>
  () =>
    time === undefined ? { now: realClock.now(), steady: steadyTime() } : { now: time[0] ?? 0, steady: time[0] ?? 0 }

function notHere(): never {
  throw new Error('this is not asked of this thread, or before it is open')
}

if (parentPort) serve(parentPort, workerData as StorageData) // store.ts starts it with this

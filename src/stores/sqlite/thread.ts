import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { toFailure } from '../../core/failure.ts'
import { answering } from '../../runtime/port.ts'
import { realClock } from '../../runtime/world.ts'
import type { Question, QuestionKind, Questions } from '../store.ts'
import { Connection } from './connection.ts'
import { storeError } from './failures.ts'
import { layOut } from './files.ts'
import { Reader } from './read.ts'
import { receivedBatch, sentAnswers } from './wire.ts'
import { Writer } from './write.ts'

/** What store.ts asks of a storage thread: of the one that writes, or of the one that reads. */
export type StorageProtocol = {
  readonly open: readonly [null, null]
  readonly write: readonly [batch: string, answers: string]
  readonly read: readonly [Question, Questions[QuestionKind][1]]
  readonly close: readonly [null, null]
}

export interface StorageData {
  readonly path: string
  readonly readOnly: boolean
  /** The store's now, in place of the real one: for tests. */
  readonly time: Float64Array | undefined
}

function serve(port: MessagePort, { path, readOnly, time }: StorageData): void {
  let connection: Connection | undefined
  let writer: Writer | undefined
  let reader: Reader | undefined
  const open = (): null => {
    if (!readOnly) layOut(path)
    connection = new Connection({ path, readOnly })
    if (readOnly) reader = new Reader(connection)
    else writer = new Writer(connection, () => time?.[0] ?? realClock.now())
    return null
  }
  const close = (): null => {
    connection?.close()
    return null
  }
  answering<StorageProtocol>(
    port,
    {
      open,
      close,
      write: (batch) => sentAnswers(opened(writer).write(receivedBatch(batch))),
      read: (question) => opened(reader).answer(question),
    },
    (error) => toFailure(storeError(error, path)),
  )
}

function opened<T>(side: T | undefined): T {
  if (side === undefined) throw new Error('it is not open on this thread')
  return side
}

if (parentPort) serve(parentPort, workerData as StorageData) // store.ts starts it with this

import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { OffstageError } from '../../core/errors.ts'
import { fromFailure } from '../../core/failure.ts'
import type { Liveness } from '../../core/liveness.ts'
import { refuse } from '../../core/options.ts'
import type { RunError } from '../../core/run.ts'
import { safely } from '../../core/thrown.ts'
import { Asker, besides } from '../../runtime/port.ts'
import { realClock } from '../../runtime/world.ts'
import type { Answer, JoinedTx, OwnTx, Question, QuestionKind, QuestionOf, Questions, Store, Write } from '../store.ts'
import { folderOf } from './files.ts'
import { Presence } from './liveness.ts'
import type { Changed, StorageData, StorageProtocol } from './thread.ts'
import { joined, OwnStatements } from './tx.ts'
import { receivedAnswers, sentBatch } from './wire.ts'

/** Our side: batches and questions go to the storage threads, and the disk never stops the event loop. */
export class SqliteStore implements Store {
  /** SQLite commits one after another. The second is on its way meanwhile, so that neither thread waits for the other. */
  readonly flights = 2
  readonly #path: string
  readonly #time: Float64Array | undefined
  readonly #presence: Presence
  readonly #wakes = new Set<() => void>()
  #writer: Promise<StorageThread> | undefined
  #reader: Promise<StorageThread> | undefined
  #closing: Promise<void> | undefined

  /** `time`: the store's now, over shared memory, in place of the real one. */
  constructor({ path, time }: { readonly path: string; readonly time?: Float64Array }) {
    if (path === '' || path === ':memory:') refuse('path', 'the path of a file (for memory there is memoryStore)', path)
    // As SQLite follows it: its -wal and our presence lie beside the file itself, by whatever name it is opened.
    this.#path = safely(() => realpathSync.native(path)) ?? resolve(path)
    this.#time = time
    this.#presence = new Presence(folderOf(this.#path), realClock)
  }

  /** One that was closed can be opened again; one that is open, or opening, is somebody's. */
  async open(): Promise<Liveness> {
    await this.#closing
    if (this.#writer !== undefined && this.#closing === undefined) throw isTaken(this.#path)
    this.#closing = undefined
    this.#reader = undefined
    this.#writer = this.#start(false)
    try {
      await this.#writer
    } catch (error) {
      this.#writer = undefined // so that it can be tried again
      throw error
    }
    return this.#presence
  }

  async write(batch: readonly Write[]): Promise<readonly Answer[]> {
    const writer = await this.#opened()
    return receivedAnswers(await writer.ask('write', sentBatch(batch)))
  }

  async read<K extends QuestionKind>(question: QuestionOf<K>): Promise<Questions[K][1]> {
    await this.#opened()
    const reader = await this.#readerThread()
    return (await reader.ask('read', question as Question)) as Questions[K][1] // the union forgets which answer is whose
  }

  wakes(changed: () => void): Disposable {
    const wake = (): void => changed() // the same listener may be given twice
    this.#wakes.add(wake)
    return { [Symbol.dispose]: () => void this.#wakes.delete(wake) } // it answers whether it was there
  }

  within(tx: unknown): JoinedTx | undefined {
    return joined(tx, { path: this.#path, now: () => this.#time?.[0] ?? realClock.now() })
  }

  begin(): OwnTx {
    return new OwnStatements(async (text, count) => {
      await this.#opened()
      const reader = await this.#readerThread()
      return reader.ask('check', { text, count })
    })
  }

  /** One that could not be started, or has ended, is started anew: nothing depends on it but questions. */
  async #readerThread(): Promise<StorageThread> {
    this.#reader ??= this.#start(true)
    try {
      const reader = await this.#reader
      if (!reader.isOver) return reader
    } catch (error) {
      this.#reader = undefined
      throw error
    }
    this.#reader = this.#start(true)
    return this.#reader
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  /** The reader first: the last connection to close is the one that can tidy up. */
  async #close(): Promise<void> {
    this.#presence.end()
    for (const side of [this.#reader, this.#writer]) {
      const thread = await side?.catch(() => undefined) // what never opened has ended by itself
      await thread?.close()
    }
  }

  async #start(readOnly: boolean): Promise<StorageThread> {
    const thread = new StorageThread({ path: this.#path, readOnly, time: this.#time }, () => this.#wakeAll())
    try {
      await thread.ask('open', null)
      return thread
    } catch (error) {
      await thread.end()
      throw error
    }
  }

  #wakeAll(): void {
    for (const wake of this.#wakes) wake()
  }

  async #opened(): Promise<StorageThread> {
    this.#refuseClosed()
    if (this.#writer === undefined) throw unavailable(this.#path, 'it was not opened')
    return this.#writer
  }

  #refuseClosed(): void {
    if (this.#closing) throw unavailable(this.#path, 'it is closed')
  }
}

const unavailable = (path: string, why: string, cause?: unknown): OffstageError =>
  new OffstageError('OFFSTAGE_STORE_UNAVAILABLE', `The store ${path}: ${why}.`, cause === undefined ? {} : { cause })

/** Its presence and its end are of one Offstage: the first of two to close would close it for both. */
const isTaken = (path: string): OffstageError =>
  new OffstageError(
    'OFFSTAGE_BAD_OPTION',
    `This object of the store ${path} is open already, for another Offstage. Give each its own: \`sqliteStore({ path })\`; the file can be the same.`,
  )

/** One thread, and what it was asked. It keeps the process alive only while an answer is due. */
class StorageThread {
  readonly #worker: Worker
  readonly #asker: Asker<StorageProtocol>
  isOver = false
  #due = 0

  constructor(data: StorageData, changed: () => void) {
    this.#worker = new Worker(besides(import.meta.url, 'thread'), { workerData: data, name: 'offstage-storage' })
    this.#asker = new Asker(this.#worker)
    this.#worker.on('message', (message: Changed | object) => {
      if ('changed' in message) changed()
    })
    this.#worker.on('error', (error) => this.#asker.break(unavailable(data.path, 'its storage thread failed', error)))
    this.#worker.on('exit', () => {
      this.isOver = true
      this.#asker.break(unavailable(data.path, 'its storage thread has ended'))
    })
  }

  async ask<K extends keyof StorageProtocol>(kind: K, body: StorageProtocol[K][0]): Promise<StorageProtocol[K][1]> {
    if (this.#due++ === 0) this.#worker.ref()
    try {
      return await this.#asker.ask(kind, body)
    } catch (failure) {
      throw failure instanceof Error ? failure : fromFailure(failure as RunError) // as thread.ts tells them
    } finally {
      if (--this.#due === 0) this.#worker.unref()
    }
  }

  async close(): Promise<void> {
    await this.ask('close', null).catch(() => undefined)
    await this.end()
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}

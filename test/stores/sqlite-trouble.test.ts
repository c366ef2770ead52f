import { DatabaseSync } from 'node:sqlite'
import type { Worker } from 'node:worker_threads'
import { afterAll, expect, test } from 'vitest'
import { storeError } from '../../src/stores/sqlite/failures.ts'
import { Connection } from '../../src/stores/sqlite/connection.ts'
import { layOut } from '../../src/stores/sqlite/files.ts'
import { sent } from '../../src/stores/sqlite/wire.ts'
import { Writer } from '../../src/stores/sqlite/write.ts'
import type { Write } from '../../src/stores/store.ts'
import { openedIn, tempFolder } from './sqlite-world.ts'

const folder = tempFolder()
const threads: Worker[] = []
const remember = (worker: Worker) => void threads.push(worker) // a push answers a count
process.on('worker', remember)
afterAll(() => void process.off('worker', remember)) // it answers the process

const inserts = (from: number, count: number, input: string | null = null) =>
  Array.from({ length: count }, (_, index): Write => {
    const policy = {
      task: 't',
      version: 1,
      thread: false,
      queue: 'q',
      priority: 0,
      maxAttempts: 1,
      timeout: null,
    } as const
    const rest = {
      input,
      delay: 0,
      at: null,
      onCrash: 'retry',
      owner: null,
      tags: [],
      parent: null,
      idempotency: null,
    } as const
    return { kind: 'insert', run: { id: `run-${from + index}`, ...policy, ...rest } }
  })

/** Takes the write lock, as another process would. */
function locked(path: string): DatabaseSync {
  const other = new DatabaseSync(path)
  other.exec('begin immediate')
  return other
}

/** Whether a write was refused for the lock, and after how many milliseconds. */
async function triedTo(write: () => Promise<unknown>): Promise<{ readonly refused: boolean; readonly took: number }> {
  const from = performance.now()
  const refused = await write().then(
    () => false,
    (error: unknown) => {
      expect(error).toMatchObject({ code: 'OFFSTAGE_STORE_BUSY', cause: { code: 'ERR_SQLITE_ERROR' } })
      return true
    },
  )
  return { refused, took: performance.now() - from }
}

test('a lock under which nothing is committed for five seconds is told, to those behind at once, and the store goes on', async () => {
  const { store } = await openedIn(`${folder}/busy.db`)
  const other = locked(`${folder}/busy.db`)
  const tries = [0, 1].map((from) => triedTo(() => store.write(inserts(from, 1))))
  const [first, behind] = [await tries[0]!, await tries[1]!]
  expect([first.refused, behind.refused]).toEqual([true, true])
  expect(first.took).toBeGreaterThan(4_500)
  expect(behind.took).toBeLessThan(8_000)
  const third = await triedTo(() => store.write(inserts(2, 1)))
  expect(third.refused).toBe(true)
  expect(third.took).toBeLessThan(2_000)
  other.close()
  expect(await store.write(inserts(0, 1))).toMatchObject([{ disposition: 'created' }])
  // Somebody else is not that one: he is waited for as before.
  const next = locked(`${folder}/busy.db`)
  const writing = triedTo(() => store.write(inserts(1, 1)))
  setTimeout(() => next.close(), 1_000)
  expect((await writing).refused).toBe(false)
  await store.close()
}, 20_000)

test('a lock that is given back in time is waited for', async () => {
  const { store } = await openedIn(`${folder}/patient.db`)
  const other = locked(`${folder}/patient.db`)
  const writing = store.write(inserts(0, 1))
  other.close()
  expect(await writing).toMatchObject([{ disposition: 'created' }])
  await store.close()
})

test('questions are answered while a commit waits', async () => {
  const { store } = await openedIn(`${folder}/side.db`)
  await store.write(inserts(0, 1))
  const other = locked(`${folder}/side.db`)
  const writing = store.write(inserts(1, 1))
  expect(await store.read({ kind: 'find', run: 'run-0' })).toMatchObject({ state: 'waiting' })
  other.close()
  await writing
  await store.close()
})

test('a full disk fails the whole batch, keeps what was committed, and is got over', () => {
  const path = `${folder}/full.db`
  layOut(path)
  const connection = new Connection({ path, readOnly: false })
  const writer = new Writer(connection, () => ({ now: 1, steady: 1 }))
  const size = (pages: number) => connection.prepare({ size: `pragma max_page_count = ${pages}` }).size.row()
  writer.write(inserts(0, 1).map(sent))
  size(30)
  const batch = [...inserts(1, 2), ...inserts(3, 1, 'x'.repeat(1_000_000))].map(sent)
  const full = (() => {
    try {
      return writer.write(batch)
    } catch (error) {
      return storeError(error, path)
    }
  })()
  expect(full).toMatchObject({ code: 'OFFSTAGE_STORE_FULL' })
  const { count } = connection.prepare({ count: 'select count(*) from offstage_runs' })
  expect(count.row()).toEqual([1])
  size(100_000)
  expect(writer.write(batch)).toHaveLength(3)
  expect(count.row()).toEqual([4])
  connection.close()
})

test('a storage thread that dies fails what it was asked and whatever it is asked later', async () => {
  threads.length = 0
  const { store } = await openedIn(`${folder}/death.db`)
  const other = locked(`${folder}/death.db`)
  const [open, behind] = [store.write(inserts(0, 1)), store.write(inserts(1, 1))]
  const dying = threads[0]!.terminate()
  other.close()
  const unavailable = { code: 'OFFSTAGE_STORE_UNAVAILABLE', name: 'OffstageError' }
  await expect(open).rejects.toMatchObject(unavailable)
  await expect(behind).rejects.toMatchObject(unavailable)
  await dying
  await expect(store.write(inserts(2, 1))).rejects.toMatchObject(unavailable)
  await store.close()
})

test('a store that was closed says so, and can be opened again', async () => {
  const { store } = await openedIn(`${folder}/closed.db`)
  await store.close()
  for (const refused of [store.write([]), store.read({ kind: 'instances' })]) {
    await expect(refused).rejects.toMatchObject({ code: 'OFFSTAGE_STORE_UNAVAILABLE' })
  }
  await store.open()
  expect(await store.read({ kind: 'instances' })).toEqual([])
  await store.close()
})

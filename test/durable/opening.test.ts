import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createOffstage, task } from 'offstage'
import { memoryStore } from 'offstage/memory'
import { sqliteStore } from 'offstage/sqlite'
import type { Store } from '../../src/stores/store.ts'
import { turns } from '../setup/fake-clock.ts'
import { gate } from '../setup/stage.ts'
import { STORES, useFiles } from '../setup/stores.ts'
import { instances } from './instance.ts'

useFiles()
const silent = { debug() {}, info() {}, warn() {}, error() {} }

test('a store that opens after close() is closed again, and nothing of it is performed', async () => {
  const begun: number[] = []
  const counts = task({ name: 'counts', durable: true, run: (n: number) => void begun.push(n) })
  const inner = memoryStore()
  const opening = gate()
  const opens = gate()
  const closed = gate()
  const slow: Store = {
    flights: 1,
    open: async () => (opening.open(), await opens.opened, inner.open()),
    write: (batch) => inner.write(batch),
    read: (question) => inner.read(question),
    wakes: (changed) => inner.wakes(changed),
    within: () => undefined,
    begin: () => undefined,
    close: async () => closed.open(),
  }
  const producer = createOffstage({ tasks: [counts], store: inner, worker: false, logger: silent })
  await producer.start(counts, 1)
  const late = createOffstage({ tasks: [counts], store: slow, logger: silent })
  late.ready.catch(() => undefined)
  await opening.opened
  expect(await late.close({ deadline: 20 })).toEqual({ abandoned: [] })
  opens.open()
  await closed.opened
  await turns(5)
  expect(begun).toEqual([])
  await expect(late.ready).rejects.toMatchObject({ code: 'OFFSTAGE_SHUTDOWN' })
})

test.each(STORES)(
  'a run of a task that a deploy moved to the event loop is performed there, kept in %s',
  async (_, newPlace) => {
    const instance = instances(newPlace)
    const moved = task({ name: 'moved', durable: true, run: () => 'on the loop' })
    const { offstage, place } = instance([moved], { worker: false })
    const handle = await offstage.start(moved)
    // As the instance before the deploy wrote it.
    const before = { task: 'moved', version: 1, queue: 'default', priority: 0, input: null, delay: 0, at: null }
    const nobody = { owner: null, tags: [], parent: null, idempotency: null }
    const policy = { maxAttempts: 1, timeout: null, onCrash: 'retry', ...nobody } as const
    const store = place()
    await store.open()
    const id = `${handle.id.slice(0, -4)}0000`
    await store.write([{ kind: 'insert', run: { id, thread: true, ...before, ...policy } }])
    const worker = instance([moved], { place })
    await worker.offstage.ready
    expect(await worker.offstage.handle(moved, id).result()).toBe('on the loop')
    expect((await worker.offstage.handle(moved, handle.id).status()).thread).toBe(false)
    await store.close()
  },
)

test('a reading thread that could not be started is started anew', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'offstage-reader-'))
  const path = join(folder, 'runs.db')
  const store = sqliteStore({ path })
  await store.open()
  renameSync(path, `${path}.away`)
  await expect(store.read({ kind: 'instances' })).rejects.toMatchObject({ code: 'OFFSTAGE_STORE_UNAVAILABLE' })
  renameSync(`${path}.away`, path)
  expect(await store.read({ kind: 'instances' })).toEqual([])
  await store.close()
  rmSync(folder, { recursive: true })
})

test.each(STORES)('an opening that failed once is made up for by the next start, kept in %s', async (_, newPlace) => {
  const quick = task({ name: 'quick', durable: true, run: (n: number) => n + 1 })
  const { offstage, store } = instances(newPlace)([quick])
  store.fail('presence', 'before')
  await expect(offstage.ready).rejects.toThrow('reply lost before the commit')
  expect(await offstage.execute(quick, 1)).toBe(2)
  expect(store.opened).toBe(2)
})

import { randomUUIDv7 } from 'node:crypto'
import { Connection } from '../src/stores/sqlite/connection.ts'
import { layOut } from '../src/stores/sqlite/files.ts'
import { sent } from '../src/stores/sqlite/wire.ts'
import { Writer } from '../src/stores/sqlite/write.ts'
import type { NewRun, Write } from '../src/stores/store.ts'

const INSTANCE = { id: 'bench', pid: process.pid, boot: '', began: '', pidNamespace: '' }

/** Runs a second that the store's statements do by themselves: transactions of `size` writes on this thread, no messages. */
export function bareLoop({
  path,
  size,
  ms,
  settle = true,
}: {
  readonly path: string
  readonly size: number
  readonly ms: number
  readonly settle?: boolean
}): number {
  layOut(path)
  const connection = new Connection({ path, readOnly: false })
  const writer = new Writer(connection, () => ({ now: Date.now(), steady: 0 }))
  writer.write([{ kind: 'presence', instance: INSTANCE, change: 'joins', can: [] }])
  let runs = 0
  const from = performance.now()
  while (performance.now() - from < ms) {
    const inserts = Array.from({ length: size }, newRun)
    writer.write(inserts.map((run) => sent({ kind: 'insert', run, ...(settle ? { claimFor: INSTANCE.id } : {}) })))
    if (settle)
      writer.write(
        inserts.map(
          ({ id }) =>
            ({
              kind: 'settle',
              claim: { run: id, attempt: 1 },
              outcome: { kind: 'succeeded', result: '1' },
            }) satisfies Write,
        ),
      )
    runs += size
  }
  const took = performance.now() - from
  connection.close()
  return (runs * 1_000) / took
}

const newRun = (): NewRun => ({
  id: randomUUIDv7(),
  task: 'noop',
  version: 1,
  thread: false,
  queue: 'default',
  priority: 0,
  input: '{"n":1}',
  delay: 0,
  at: null,
  maxAttempts: 10,
  timeout: 3_600_000,
  idempotency: null,
  onCrash: 'retry',
  owner: null,
  tags: [],
  parent: null,
})

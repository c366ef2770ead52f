// Tries promises of the store contract on one store of this copy of the sources, in a process of its own: `contract-main.ts sqlite 'a promise' …`
// (none named: all of them). Prints those that are broken, as JSON.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realClock } from '../../src/runtime/world.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { SqliteStore } from '../../src/stores/sqlite/store.ts'
import { storeContract, type Opened } from '../../src/testing/store-contract/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'offstage-contract-'))
let files = 0

async function sqlite(): Promise<Opened> {
  const time = new Float64Array(new SharedArrayBuffer(8))
  const pass = (ms: number): void => void (time[0] = now() + ms)
  const now = (): number => time[0] ?? 0
  pass(1_795_000_000_000)
  const store = new SqliteStore({ path: join(folder, `${++files}.db`), time })
  await store.open()
  return { store, clock: { now, pass } }
}

async function memory(): Promise<Opened> {
  let now = 1_795_000_000_000
  const store = memoryStore({ clock: { ...realClock, now: () => now, monotonic: () => now } })
  await store.open()
  return { store, clock: { now: () => now, pass: (ms) => void (now += ms) } } // the clock answers nothing
}

const [, , store, ...named] = process.argv
const checks = storeContract({ open: store === 'sqlite' ? sqlite : memory })
for (const name of named)
  if (!checks.some(({ promise }) => promise === name)) throw new Error(`There is no promise "${name}".`)
const broken: string[] = []
for (const { promise, check } of checks)
  if (named.length === 0 || named.includes(promise)) await check().catch(() => broken.push(promise))
rmSync(folder, { recursive: true, force: true })
process.stdout.write(JSON.stringify(broken))

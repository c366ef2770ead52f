import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { createOffstage, task, type Offstage } from 'offstage'
import { sqliteStore } from 'offstage/sqlite'
import { bareLoop } from './bare.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 3)
const MS = Number(process.env['SECONDS'] ?? 2) * 1_000
const IN_FLIGHT = 100

let begun: (() => void) | undefined
const noop = task({ name: 'noop', durable: true, run: ({ n }: { n: number }) => (begun?.(), n) })

const folder = mkdtempSync(join(tmpdir(), 'offstage-bench-'))
let files = 0
const file = (): string => join(folder, `${++files}.db`)

/** Sizes of the batches that the engine made, for the bare loop. */
const batches: number[] = []

type Store = ReturnType<typeof sqliteStore>
function counted(store: Store): Store {
  return {
    flights: store.flights,
    open: () => store.open(),
    read: (question) => store.read(question),
    close: () => store.close(),
    wakes: (changed) => store.wakes(changed),
    within: (tx) => store.within(tx),
    begin: (claim) => store.begin(claim),
    write(batch) {
      batches.push(batch.length)
      return store.write(batch)
    },
  }
}

async function offstageWith<T>(
  worker: false | { concurrency: number },
  use: (offstage: Offstage) => Promise<T>,
): Promise<T> {
  await using offstage = createOffstage({
    tasks: [noop],
    store: counted(sqliteStore({ path: file() })),
    worker,
    shutdown: { signals: false, grace: '2s' },
  })
  await offstage.ready
  return await use(offstage)
}

/** Ends a second, with that many under way. */
async function rate(one: () => Promise<unknown>): Promise<number> {
  const go = async (ms: number): Promise<number> => {
    let count = 0
    const from = performance.now()
    const producer = async (): Promise<void> => {
      while (performance.now() - from < ms) {
        await one()
        count++
      }
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, producer))
    return (count * 1_000) / (performance.now() - from)
  }
  await go(MS / 4)
  return go(MS)
}

const starts = (): Promise<number> => offstageWith(false, (offstage) => rate(() => offstage.start(noop, { n: 1 })))

const startToEnd = (concurrency: number) => (): Promise<number> =>
  offstageWith({ concurrency }, (offstage) => rate(() => offstage.execute(noop, { n: 1 })))

const pickups: number[] = []
const pickup = (): Promise<number> =>
  offstageWith({ concurrency: 16 }, async (offstage) => {
    for (let count = 0; count < 200; count++) {
      await sleep(5)
      const from = performance.now()
      const first = new Promise<void>((resolve) => (begun = resolve))
      const handle = await offstage.start(noop, { n: 1 })
      await first
      pickups.push(performance.now() - from)
      await handle.result()
    }
    begun = undefined
    return quantile(pickups, 0.5)
  })

const loopDelay = (): Promise<number> =>
  offstageWith({ concurrency: 16 }, async (offstage) => {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    const under: Promise<unknown>[] = []
    delay.enable()
    const from = performance.now()
    for (let started = 0; performance.now() - from < MS;) {
      for (const due = (performance.now() - from) * 1; started < due; started++)
        under.push(offstage.execute(noop, { n: 1 }))
      await sleep(1)
    }
    await Promise.all(under)
    delay.disable()
    return delay.percentile(99) / 1e6
  })

function fsyncs(): number {
  const fd = openSync(join(folder, 'fsync'), 'w')
  const page = Buffer.alloc(4_096)
  const took = Array.from({ length: 500 }, (_, index) => {
    const from = performance.now()
    writeSync(fd, page, 0, page.length, (index % 64) * page.length)
    fdatasyncSync(fd)
    return performance.now() - from
  })
  closeSync(fd)
  return quantile(took, 0.5)
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

interface Row {
  readonly name: string
  readonly unit: string
  readonly digits: number
  readonly measure: () => number | Promise<number>
  readonly figures: number[]
}
const runs = (name: string, measure: Row['measure']): Row => ({ name, unit: 'runs/s', digits: 0, measure, figures: [] })
const ms = (name: string, measure: Row['measure']): Row => ({ name, unit: 'ms', digits: 2, measure, figures: [] })

const bare = runs('bare driver: insert and settle', () =>
  bareLoop({ path: file(), size: quantile(batches, 0.5), ms: MS }),
)
const bareInserts = runs('bare driver: insert', () =>
  bareLoop({ path: file(), size: quantile(batches, 0.5), ms: MS, settle: false }),
)
const rows: readonly Row[] = [
  runs('starts, 100 in flight, each after its fsync', starts),
  runs('start to end, 100 producers, concurrency 100', startToEnd(100)),
  runs('start to end, 100 producers, concurrency 16', startToEnd(16)),
  bareInserts,
  bare,
  ms('pickup p50, idle', pickup),
  ms('event-loop delay p99 at 1,000 runs/s', loopDelay),
  ms('fdatasync of 4 KiB, p50', fsyncs),
]

const TMPFS = 0x01021994
try {
  console.log(
    `Node ${process.versions.node}, ${availableParallelism()} cores, ${ROUNDS} rounds of ${MS / 1_000} s a row`,
  )
  if (statfsSync(folder).type === TMPFS)
    console.log('The temporary folder is in memory: no fsync is measured. Set TMPDIR to a disk.')
  for (let round = 0; round < ROUNDS; round++) for (const { measure, figures } of rows) figures.push(await measure())
  const median = ({ figures }: Row): number => quantile(figures, 0.5)
  const show = (value: number, digits: number): string =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  for (const one of rows) {
    const { name, unit, digits, figures } = one
    console.log(
      `${name.padEnd(48)} ${show(median(one), digits).padStart(9)} ${unit.padEnd(7)} (${show(Math.min(...figures), digits)} – ${show(Math.max(...figures), digits)})`,
    )
  }
  const [started, ended] = rows
  if (started !== undefined && ended !== undefined) {
    console.log(
      `pickup p99 over all rounds: ${quantile(pickups, 0.99).toFixed(2)} ms; median batch of the engine: ${quantile(batches, 0.5)} writes`,
    )
    console.log(
      `share of the bare driver: starts ${(median(started) / median(bareInserts)).toFixed(2)}, start to end ${(median(ended) / median(bare)).toFixed(2)}`,
    )
  }
} finally {
  rmSync(folder, { recursive: true })
}

import { Worker } from 'node:worker_threads'

/** A thread that asks for 5 ms of a core every 100 ms; it tells how long it took, and how long it had the core. */
const PROBE = `
const { parentPort } = require('node:worker_threads')
const used = () => { const { user, system } = process.threadCpuUsage(); return (user + system) / 1_000 }
setInterval(() => {
  const [wall, cpu] = [performance.now(), used()]
  while (used() - cpu < 5) for (let spin = 0; spin < 10_000; spin++);
  parentPort.postMessage([performance.now() - wall, used() - cpu])
}, 100)`

/** What a storm's own processes take from each other is no reason to wait longer. */
const OWN = 2

let wall = 0
let cpu = 0
const worker = new Worker(PROBE, { eval: true, execArgv: [] })
worker.on('message', ([took, had]: readonly [number, number]) => {
  wall += took
  cpu += had
})
worker.unref() // listening holds on to it

/**
 * How much longer things take than on a machine that is the storm's own, since this was made; 1 where it is. Bounds of time are
 * multiplied by it, and the figures name it: others on the same cores say nothing of what is measured.
 */
export class Yardstick {
  readonly #wall = wall
  readonly #cpu = cpu

  get slowness(): number {
    const ratio = cpu === this.#cpu ? 1 : (wall - this.#wall) / (cpu - this.#cpu)
    return ratio < OWN ? 1 : ratio
  }
}

import { isDone } from '../../src/core/run-state.ts'
import { memoryStore } from '../../src/stores/memory/store.ts'
import { realClock } from '../../src/runtime/world.ts'
import type { Store } from '../../src/stores/store.ts'
import { Dice } from './dice.ts'
import { Invariants, Violation } from './invariants.ts'
import { LEISURE, Process, type Part, type ProcessParts } from './process.ts'
import { Scheduler } from './scheduler.ts'
import type { Trace } from './trace.ts'
import { CALM, type Weather } from './wire.ts'
import { Wishes, type Wish } from './wishes.ts'
import { expected, tasksOf } from './workload.ts'

/** Things happen that often before the faults stop. */
const STEPS = 200
/** Of virtual time, without faults: whatever has not ended by then is stuck. */
const PATIENCE = 60_000
const HOUR = 3_600_000
const BEGIN = Date.UTC(2026, 0, 1)

type Fault = 'crash' | 'pause' | 'close' | 'jump' | 'cut'
const FAULTS: readonly [Fault, ...Fault[]] = ['crash', 'crash', 'pause', 'pause', 'close', 'jump', 'cut']
const CRASHES: readonly [Fault, ...Fault[]] = ['crash']

interface Deed {
  /** Once that much has happened. */
  readonly at: number
  readonly what: Fault | Wish
}

/** Several processes on one store, and everything that befalls them: all of it thrown by the dice of one seed. */
export class World {
  readonly #dice: Dice
  readonly #scheduler: Scheduler
  readonly #store: Store
  readonly #invariants: Invariants
  readonly #wishes: Wishes
  readonly #parts: ProcessParts
  readonly #slots: Process[] = []
  readonly #cast: Part[] = []
  readonly #deeds: Deed[]
  readonly #instances: ProcessParts['instances'] = new Map()
  #weather: Weather
  #lives = 0
  #booting = 0
  #jumped = 0
  #furthest = 0
  #calmSince: number | undefined

  constructor(seed: number, trace?: Trace) {
    const dice = new Dice(seed)
    const scheduler = new Scheduler(trace)
    const wall = (): number => Math.floor(BEGIN + scheduler.now + this.#jumped)
    this.#dice = dice
    this.#scheduler = scheduler
    this.#store = memoryStore({ clock: { ...realClock, now: wall, monotonic: () => Math.floor(scheduler.now) } })
    this.#weather = dice.pick<Weather>([
      CALM,
      { lost: 0.02, slow: 0.02, unread: 0.01 },
      { lost: 0.05, slow: 0.1, unread: 0.03 },
      { lost: 0.25, slow: 0.05, unread: 0.1 },
    ])
    const holder = (id: string): Process | undefined => this.#instances.get(id)
    this.#invariants = new Invariants(this.#store, {
      now: () => scheduler.now,
      wall,
      fail: (error) => scheduler.fail(error),
      holder,
    })
    this.#wishes = new Wishes({ dice, scheduler, invariants: this.#invariants })
    const calm = (): boolean => this.#calmSince !== undefined
    this.#parts = {
      store: this.#store,
      scheduler,
      dice,
      chance: new Dice(seed + 0x4000_0000),
      invariants: this.#invariants,
      weather: () => this.#weather,
      flights: dice.between(1, 2),
      onTheirWay: { inserts: 0 },
      outlives: dice.happens(0.3),
      byHeartbeat: dice.happens(0.5),
      wall,
      instances: this.#instances,
      ids: { run: 0, instance: 0 },
      tasks: tasksOf({ dice, invariants: this.#invariants, calm }),
    }
    this.#deeds = this.#drawDeeds()
  }

  /** How often each situation came up. */
  get met(): ReadonlyMap<string, number> {
    return this.#invariants.met
  }

  get happened(): number {
    return this.#scheduler.happened
  }

  get passed(): number {
    return this.#scheduler.now
  }

  /** Rejects with the Violation, where there is one. */
  async run(): Promise<void> {
    const slots = this.#dice.between(2, 3)
    for (let slot = 0; slot < slots; slot++) {
      this.#cast.push(this.#drawPart(slot))
      this.#boot(slot)
    }
    while (!(await this.#scheduler.run(() => this.#isOver()))) this.#calmDown()
    await this.#closeAll()
    await this.#lookBack()
    this.#invariants.atEnd(expected)
  }

  /** The first can do everything, and is always replaced: whatever is started can be performed. */
  #drawPart(slot: number): Part {
    const dice = this.#dice
    const concurrency = slot > 0 && dice.happens(0.1) ? 0 : dice.between(1, 3)
    const lacks = slot > 0 && dice.happens(0.15) ? dice.pick([['child'], ['parent', 'plain']]) : []
    return { concurrency, lacks: new Set(lacks) }
  }

  #drawDeeds(): Deed[] {
    const dice = this.#dice
    const deeds: Deed[] = []
    for (let start = dice.between(3, 6); start > 0; start--)
      deeds.push({ at: dice.between(5, STEPS / 2), what: 'start' })
    for (let cancel = dice.between(0, 2); cancel > 0; cancel--)
      deeds.push({ at: dice.between(20, STEPS), what: 'cancel' })
    for (let signal = dice.between(0, 2); signal > 0; signal--)
      deeds.push({ at: dice.between(20, STEPS), what: 'signal' })
    // Now and then one crash follows the other: that is how runs are taken for the cause of crashes.
    const [most, faults] = dice.happens(0.15) ? ([9, CRASHES] as const) : ([5, FAULTS] as const)
    for (let fault = dice.between(0, most); fault > 0; fault--)
      deeds.push({ at: dice.between(5, STEPS), what: dice.pick(faults) })
    return deeds.sort((a, b) => b.at - a.at)
  }

  /** Asked before each thing that happens. */
  #isOver(): boolean {
    for (let deed = this.#deeds.at(-1); deed !== undefined && deed.at <= this.happened; deed = this.#deeds.at(-1)) {
      this.#deeds.pop()
      this.#do(deed)
    }
    const { open } = this.#invariants
    const isKnown = open === 0 && this.#parts.onTheirWay.inserts === 0
    const isIdle = isKnown && this.#wishes.open === 0 && !this.#deeds.some(({ what }) => what === 'start')
    if (!isIdle && this.happened < STEPS) return false
    if (this.#calmSince === undefined) this.#calmDown()
    if (isIdle) this.#deeds.length = 0
    if (isIdle && this.#booting === 0 && this.#slots.every(({ ready, gone }) => ready || gone)) return true
    // Whoever still waits for a signal gets one.
    if (!isIdle && this.happened % 20 === 0) this.#do({ at: this.happened, what: 'signal' })
    if (this.#scheduler.now - (this.#calmSince ?? 0) > PATIENCE) this.#stuck()
    return false
  }

  #stuck(): never {
    const stuck = [...this.#invariants.stories.values()].find(({ record }) => record && !isDone(record.state))
    if (stuck === undefined)
      throw new Violation('who waits hears what the store says', 'somebody still waits for a run that has ended')
    throw new Violation(
      'I6 no run is stuck',
      `${stuck.id} (${stuck.task}) is ${stuck.record?.state ?? ''}#${stuck.record?.attempt ?? 0}`,
    )
  }

  /** The faults are over. Whoever was held up goes on, and the wall clock has gone past everything that it ever said. */
  #calmDown(): void {
    this.#calmSince ??= this.#scheduler.now
    this.#scheduler.say(undefined, 'calm')
    this.#weather = CALM
    this.#jumped = this.#furthest
    for (const process of this.#slots) this.#goOn(process)
  }

  #goOn(process: Process): void {
    process.cut = false
    process.silent = false
    if (!process.paused) return
    process.paused = false
    process.wentOn = this.#scheduler.now
    this.#scheduler.say(process, 'goes on')
    this.#scheduler.goOn(process)
  }

  #boot(slot: number): void {
    const part = this.#cast[slot]
    if (part === undefined) throw new Error(`nobody is cast for ${slot}`)
    const process = new Process(this.#parts, { name: `p${slot}.${++this.#lives}`, part })
    this.#slots[slot] = process
    this.#scheduler.say(process, 'opens')
    this.#guard(process.open())
  }

  #do({ what }: Deed): void {
    const slot = this.#victim()
    const process = this.#slots[slot]
    if (process === undefined) return
    if (what === 'start' || what === 'cancel' || what === 'signal') {
      const ready = process.ready ? process : this.#slots.find((one) => one.ready && !one.paused)
      // Nobody is there to ask: a little later, then.
      if (ready === undefined) this.#deeds.push({ at: this.happened + 5, what })
      else this.#guard(this.#wishes.ask(ready, what))
    } else if (!process.gone && this.#calmSince === undefined) {
      this.#scheduler.say(process, what)
      this.#invariants.meets(`a fault: ${what}`)
      this.#fault(what, slot, process)
    }
  }

  /** Anybody; more often somebody who performs something. */
  #victim(): number {
    const slot = this.#dice.below(this.#slots.length)
    const busy = this.#slots.findIndex(({ performing, gone }) => performing > 0 && !gone)
    return busy >= 0 && this.#dice.happens(0.4) ? busy : slot
  }

  #fault(fault: Fault, slot: number, process: Process): void {
    const dice = this.#dice
    switch (fault) {
      case 'crash':
        this.#dies(process)
        return this.#bootLater(slot)
      case 'pause':
        process.paused = true
        return this.#holdUp(process)
      case 'cut':
        process.cut = true
        return this.#holdUp(process)
      case 'close':
        if (!process.closing) this.#guard(this.#close(process, slot))
        return
      case 'jump':
        this.#jumped += dice.pick([HOUR, -HOUR, 700, -700])
        this.#furthest = Math.max(this.#furthest, this.#jumped)
    }
  }

  /** In its place comes another, or nobody. */
  #bootLater(slot: number): void {
    if (slot > 0 && this.#dice.happens(0.5)) return
    this.#booting++
    this.#later(this.#dice.between(10, 1_500), 'restart', () => {
      this.#booting--
      this.#boot(slot)
    })
  }

  #holdUp(process: Process): void {
    const dice = this.#dice
    const ms = dice.between(20, 4_000)
    if (this.#parts.byHeartbeat)
      this.#later(dice.fraction() * ms, `${process.name} is silent`, () => {
        if (process.paused || process.cut) this.#invariants.meets('a living process is held for dead')
        if (process.paused || process.cut) process.silent = process.wasSilent = true
      })
    this.#later(ms, `${process.name} may go on`, () => this.#goOn(process))
  }

  #later(ms: number, what: string, call: () => void): void {
    this.#scheduler.plan({ at: this.#scheduler.now + ms, what }, call)
  }

  async #close(process: Process, slot: number): Promise<void> {
    const clean = await process.close()
    this.#scheduler.say(process, 'has closed', clean)
    if (clean && process.armed > 0)
      throw new Violation('nothing is left armed', `${process.name}: ${process.armed} timers`)
    this.#dies(process)
    this.#bootLater(slot)
  }

  #dies(process: Process): void {
    process.gone = true
    this.#wishes.died()
  }

  /** Everybody closes, and leaves nothing behind. */
  async #closeAll(): Promise<void> {
    let left = 0
    for (const process of this.#slots) {
      if (process.gone || process.closing) continue
      left++
      this.#guard(
        process.close(LEISURE).then((clean) => {
          left--
          if (!clean) throw new Violation('nothing is left armed', `${process.name} could not close in time`)
          if (process.armed > 0)
            throw new Violation('nothing is left armed', `${process.name}: ${process.armed} timers`)
        }),
      )
    }
    await this.#scheduler.run(() => left === 0)
    if (left > 0) throw new Violation('nothing is left armed', 'a process does not close')
  }

  /** Pieces of output: each attempt's own in order, and none told twice. */
  async #lookBack(): Promise<void> {
    for (const { id, task } of this.#invariants.stories.values()) {
      if (task !== 'telling') continue
      const page = await this.#store.read({ kind: 'events', run: id, after: 0 })
      const told = new Map<number, number>()
      for (const event of page?.events ?? []) {
        if (event.type !== 'output') continue
        const { attempt, part } = event.data as { readonly attempt: number; readonly part: number } // the workload's own
        if (part <= (told.get(attempt) ?? -1))
          throw new Violation('output is in order and told once', `${id}#${attempt}: part ${part}`)
        told.set(attempt, part)
      }
    }
  }

  #guard(promise: Promise<void>): void {
    promise.catch((error: unknown) => this.#scheduler.fail(error))
  }
}

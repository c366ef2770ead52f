import { CanceledError, OffstageError, RunFailedError, ShutdownError } from '../../src/core/errors.ts'
import { isDone } from '../../src/core/run-state.ts'
import type { RunHandle } from '../../src/core/start.ts'
import type { Dice } from './dice.ts'
import { Violation, type Invariants, type Result, type Story } from './invariants.ts'
import type { Process } from './process.ts'
import type { Scheduler } from './scheduler.ts'
import { SIGNALED, STARTED, type Input } from './workload.ts'

/** What somebody asks a process for. */
export type Wish = 'start' | 'cancel' | 'signal'

export interface WishParts {
  readonly dice: Dice
  readonly scheduler: Scheduler
  readonly invariants: Invariants
}

/** Those who start runs, wait for them, cancel them and send them signals; and whether what they are told is true. */
export class Wishes {
  readonly #dice: Dice
  readonly #scheduler: Scheduler
  readonly #invariants: Invariants
  #started = 0
  /** The run that the one idempotency key stands for. */
  #keyed: string | undefined
  /** Runs that a signal was sent to, and may have taken it. */
  readonly #signaled = new Set<string>()
  /** How many in each process asked for something and have not heard what they asked for. */
  readonly #asking = new Map<Process, number>()

  constructor({ dice, scheduler, invariants }: WishParts) {
    this.#dice = dice
    this.#scheduler = scheduler
    this.#invariants = invariants
  }

  /** How many have not heard what they asked for, where there is still somebody to tell them. */
  get open(): number {
    let open = 0
    for (const [process, count] of this.#asking) if (!process.gone) open += count
    return open
  }

  /** A process died: what it had sent may be lost with it. */
  died(): void {
    this.#signaled.clear()
  }

  /** Rejects with a Violation, where there is one. */
  async ask(process: Process, what: Wish): Promise<void> {
    const count = (by: number): unknown => this.#asking.set(process, (this.#asking.get(process) ?? 0) + by)
    count(1)
    await (what === 'start' ? this.#start(process) : what === 'cancel' ? this.#cancel(process) : this.#signal(process))
    count(-1)
  }

  async #start(process: Process): Promise<void> {
    const dice = this.#dice
    const isKeyed = dice.happens(0.15)
    const kind = isKeyed ? 'plain' : dice.pick(STARTED)
    const options = isKeyed
      ? { idempotencyKey: 'one' }
      : dice.happens(0.2)
        ? { delay: dice.between(1, 300) }
        : dice.happens(0.2)
          ? { priority: 1 }
          : {}
    const input: Input = isKeyed ? { n: 0, failures: 0 } : { n: ++this.#started, failures: dice.below(6) }
    this.#scheduler.say(process, 'starts', { kind, ...input, ...options })
    let handle: RunHandle<unknown>
    try {
      handle = await process.start(kind, input, options)
    } catch (error) {
      this.#mustBeExcused(error, process)
      return
    }
    this.#scheduler.say(process, 'acknowledged', handle.id)
    this.#invariants.acked(handle.id)
    if (isKeyed && handle.id !== (this.#keyed ??= handle.id))
      throw new Violation('a key stands for one run', `${handle.id} and ${this.#keyed}`)
    await this.#hear(process, handle)
  }

  /** Waits for the run's end; what it is told must be what the store says. */
  async #hear(process: Process, handle: RunHandle<unknown>): Promise<void> {
    const story = this.#invariants.story(handle.id)
    while (true) {
      try {
        const result = (await handle.result()) as Result
        return this.#mustBe(story, 'succeeded', result)
      } catch (error) {
        if (error instanceof Violation) throw error
        if (error instanceof RunFailedError) return this.#mustBe(story, 'failed')
        if (error instanceof CanceledError) return this.#mustBe(story, 'canceled')
        if (this.#mustBeExcused(error, process) === 'closing') return
        await process.wait(20, 'asks again')
      }
    }
  }

  #mustBe({ id, record }: Story, state: string, result?: Result): void {
    const isSo = record?.state === state && (result === undefined || JSON.stringify(result) === record.result)
    const words = `${id}: told ${state} ${JSON.stringify(result)}, and it is ${record?.state ?? 'gone'} ${record?.result ?? ''}`
    if (!isSo) throw new Violation('who waits hears what the store says', words)
  }

  async #cancel(process: Process): Promise<void> {
    const stories = [...this.#invariants.stories.values()].filter(({ record }) => record !== undefined)
    const story = stories[this.#dice.below(stories.length)]
    if (story === undefined) return
    this.#scheduler.say(process, 'cancels', story.id)
    try {
      const answer = await process.handle(story.task, story.id).cancel('no longer wanted')
      const { state } = story.record ?? { state: 'gone' }
      this.#scheduler.say(process, 'is told', answer)
      this.#invariants.meets(`a cancel: ${answer}`)
      if (answer === 'canceling') story.canceling = true
      const isTrue =
        answer === 'canceled'
          ? state === 'canceled'
          : answer !== 'finished' || state === 'succeeded' || state === 'failed'
      if (!isTrue)
        throw new Violation('cancel answers the truth', `${story.id} is ${state}, and the answer was ${answer}`)
    } catch (error) {
      if (error instanceof Violation) throw error
      this.#mustBeExcused(error, process)
    }
  }

  /** Of all that wait for one, somebody whose signal nobody has taken yet. */
  async #signal(process: Process): Promise<void> {
    const isWaiting = ({ id, task, record }: Story): boolean =>
      SIGNALED.has(task) && record !== undefined && !isDone(record.state) && !this.#signaled.has(id)
    const story = [...this.#invariants.stories.values()].find(isWaiting)
    if (story === undefined) return
    const { n } = story.input as Input
    this.#scheduler.say(process, 'signals', story.id)
    this.#signaled.add(story.id)
    try {
      const isTaken = await process.signal(story.id, 'go', n)
      this.#invariants.meets(`a signal: ${isTaken ? 'taken' : 'not taken'}`)
    } catch (error) {
      // Nobody knows whether it was taken: another does no harm.
      this.#signaled.delete(story.id)
      if (!(error instanceof OffstageError && error.code === 'OFFSTAGE_RUN_FINISHED'))
        this.#mustBeExcused(error, process)
    }
  }

  /** What may be thrown at somebody who asks: the store's errors, and that the process is closing. */
  #mustBeExcused(error: unknown, process: Process): 'store' | 'closing' {
    if (error instanceof ShutdownError && process.closing) return 'closing'
    if (error instanceof OffstageError && error.code.startsWith('OFFSTAGE_STORE')) return 'store'
    throw error
  }
}

import { OffstageError, type ErrorCode } from '../../src/core/errors.ts'
import type { Liveness } from '../../src/core/liveness.ts'
import type { Answer, QuestionKind, QuestionOf, Questions, Store, Write } from '../../src/stores/store.ts'
import type { Dice } from './dice.ts'
import type { Invariants } from './invariants.ts'
import type { Happening, Scheduler, Witness } from './scheduler.ts'

/** How likely it is that something goes wrong on the way to the store and back, each time. */
export interface Weather {
  readonly lost: number
  readonly slow: number
  readonly unread: number
}
export const CALM: Weather = { lost: 0, slow: 0, unread: 0 }

export interface WireParts {
  readonly store: Store
  readonly scheduler: Scheduler
  readonly dice: Dice
  readonly invariants: Invariants
  readonly weather: () => Weather
  readonly flights: number
  /** Batches on their way that hold inserts: what comes of them is not known yet. */
  readonly onTheirWay: { inserts: number }
  /** A process that dies may have a write on its way that is carried out all the same, as over a network. */
  readonly outlives: boolean
}

const NOT_WRITTEN: readonly [ErrorCode, ...ErrorCode[]] = [
  'OFFSTAGE_STORE_BUSY',
  'OFFSTAGE_STORE_FULL',
  'OFFSTAGE_STORE_UNAVAILABLE',
]

/** The store as one process sees it: between what it asks and what it hears lies whatever the dice say. */
export class Wire implements Store {
  readonly flights: number
  readonly #parts: WireParts
  readonly #process: Witness
  readonly #liveness: Liveness
  /** Batches commit, and are answered, in the order they were sent. */
  #committed = 0
  #answered = 0

  constructor(parts: WireParts, by: { readonly process: Witness; readonly liveness: Liveness }) {
    this.flights = parts.flights
    this.#parts = parts
    this.#process = by.process
    this.#liveness = by.liveness
  }

  async open(): Promise<Liveness> {
    return this.#liveness
  }

  async close(): Promise<void> {}

  within(): undefined {}

  begin(): undefined {}

  /** Others' commits are told soon, or by the next look at the store; one telling stands for all that came before it. */
  wakes(changed: () => void): Disposable {
    const { store, scheduler, dice, weather } = this.#parts
    const actor = this.#process
    let told: Happening | undefined
    const tell = (): void => {
      told = undefined
      changed()
    }
    const listening = store.wakes(() => {
      const ms = dice.happens(weather().slow) ? dice.between(50, 500) : dice.fraction() * dice.pick([1, 50])
      told ??= scheduler.plan({ at: scheduler.now + ms, actor, what: 'is woken' }, tell)
    })
    return {
      [Symbol.dispose]() {
        listening[Symbol.dispose]()
        told?.[Symbol.dispose]()
      },
    }
  }

  write(batch: readonly Write[]): Promise<readonly Answer[]> {
    const { scheduler, dice, weather } = this.#parts
    const reply = Promise.withResolvers<readonly Answer[]>()
    const lost = this.#process.cut
      ? 'before'
      : dice.happens(weather().lost)
        ? dice.pick(['before', 'after'])
        : undefined
    this.#committed = Math.max(this.#committed, scheduler.now + this.#latency())
    const at = this.#committed
    if (lost === 'before') {
      const code = dice.pick(NOT_WRITTEN)
      const refuse = (): void => reply.reject(new OffstageError(code, 'Nothing was written.'))
      scheduler.plan({ at, actor: this.#process, what: 'lost before the commit', about: batch }, refuse)
    } else {
      if (batch.some(({ kind }) => kind === 'insert')) this.#parts.onTheirWay.inserts++
      const commit = (): void => void this.#carryOut(batch, reply, lost === 'after') // it never rejects
      // Nobody's: it is on its way, whatever its process does meanwhile.
      scheduler.plan({ at, what: `commit for ${this.#process.name}`, about: batch }, commit)
    }
    return reply.promise
  }

  read<K extends QuestionKind>(question: QuestionOf<K>): Promise<Questions[K][1]> {
    const { scheduler, dice, weather, store } = this.#parts
    const reply = Promise.withResolvers<Questions[K][1]>()
    const actor = this.#process
    if (actor.cut || dice.happens(weather().unread)) {
      const refuse = (): void => reply.reject(new OffstageError('OFFSTAGE_STORE_UNAVAILABLE', 'No answer.'))
      scheduler.plan({ at: scheduler.now + this.#latency(), actor, what: 'question lost', about: question }, refuse)
      return reply.promise
    }
    const answer = (): void => void store.read(question).then(reply.resolve, (error: unknown) => scheduler.fail(error))
    if (!dice.happens(weather().slow)) {
      scheduler.plan({ at: scheduler.now + this.#latency(), actor, what: 'answer', about: question }, answer)
    } else {
      // What was true when it was asked is heard later.
      const old = store.read(question)
      const at = scheduler.now + dice.between(1, 1_500)
      scheduler.plan({ at, actor, what: 'old answer', about: question }, () => reply.resolve(old))
    }
    return reply.promise
  }

  async #carryOut(
    batch: readonly Write[],
    reply: PromiseWithResolvers<readonly Answer[]>,
    isLost: boolean,
  ): Promise<void> {
    const { store, scheduler, invariants, outlives, onTheirWay } = this.#parts
    if (batch.some(({ kind }) => kind === 'insert')) onTheirWay.inserts--
    const actor = this.#process
    if (actor.gone && !outlives) return
    try {
      const answers: Answer[] = []
      for (const write of batch) {
        // One after another, as in their one transaction; in between the invariants are looked at.
        const [answer] = await store.write([write])
        if (answer === undefined) throw new Error(`no answer to ${write.kind}`)
        answers.push(answer)
        await invariants.committed(actor, write, answer)
      }
      const tell = isLost
        ? (): void => reply.reject(new OffstageError('OFFSTAGE_STORE_UNAVAILABLE', 'The reply was lost.'))
        : (): void => reply.resolve(answers)
      this.#answered = Math.max(this.#answered, scheduler.now + this.#latency())
      const what = isLost ? 'reply lost' : 'reply'
      scheduler.plan({ at: this.#answered, actor, what, about: answers }, tell)
    } catch (error) {
      scheduler.fail(error)
    }
  }

  #latency(): number {
    const { dice, weather } = this.#parts
    if (dice.happens(weather().slow)) return dice.between(1, 2_500)
    return dice.fraction() * dice.pick([0.1, 2, 20])
  }
}

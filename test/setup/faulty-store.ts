import type { Answer, Kind, QuestionKind, QuestionOf, Questions, Store, Write } from '../../src/stores/store.ts'
import { gate, type Gate } from './stage.ts'

/** Whether the reply is lost before the commit (nothing was written) or after it (everything was). */
export type Moment = 'before' | 'after'

interface Trouble {
  readonly kind: Kind
  readonly moment: Moment
  /** Throws, waits, or answers something else. */
  meet(answers: readonly Answer[], batch: readonly Write[]): Promise<readonly Answer[]> | readonly Answer[]
  left: number
}

/** A store between the engine and the real one: what the real one does is real, its replies are what the test says. */
export class FaultyStore implements Store {
  readonly flights: number
  readonly #inner: Store
  readonly #troubles: Trouble[] = []
  /** Every batch that was sent, in order; also those that failed. */
  readonly batches: (readonly Write[])[] = []
  opened = 0
  closed = 0

  constructor(inner: Store) {
    this.#inner = inner
    this.flights = inner.flights
  }

  /** The next batches that hold such a write fail as a whole. */
  fail(kind: Kind, moment: Moment, times = 1): void {
    this.#add({ kind, moment, left: times, meet: () => Promise.reject(new Error(`reply lost ${moment} the commit`)) })
  }

  /** The next batch that holds such a write waits until the gate is opened. `met` settles when it has come. */
  hold(kind: Kind, moment: Moment): Gate & { readonly met: Promise<void> } {
    const waits = gate()
    const met = gate()
    const meet = async (answers: readonly Answer[]): Promise<readonly Answer[]> => {
      met.open()
      await waits.opened
      return answers
    }
    this.#add({ kind, moment, left: 1, meet })
    return { ...waits, met: met.opened }
  }

  /** The next such write is answered with something else; its neighbours with what is true. */
  answer(kind: Kind, make: (answer: Answer) => Answer, times = 1): void {
    const meet = (answers: readonly Answer[], batch: readonly Write[]) =>
      answers.map((answer, index) => (batch[index]?.kind === kind ? make(answer) : answer))
    this.#add({ kind, moment: 'after', left: times, meet })
  }

  /** The next batches that hold such writes are carried out without them: those are answered with this instead. */
  replace(kind: Kind, make: () => Answer, times = 1): void {
    this.#replaced.push({ kind, make, left: times })
  }
  readonly #replaced: { readonly kind: Kind; readonly make: () => Answer; left: number }[] = []

  /** Nothing answers any more, until the gate is opened. */
  hang(): Gate {
    const waits = gate()
    this.#hung = waits.opened
    return waits
  }
  #hung: Promise<void> = Promise.resolve()

  /** Asked of every batch: whether its reply is lost, and when. */
  loses: () => Moment | undefined = () => undefined

  /** The next questions are not answered. */
  failReads(times: number): void {
    this.#unread = times
  }
  #unread = 0

  kinds(kind: Kind): readonly Write[] {
    return this.batches.flat().filter((write) => write.kind === kind)
  }

  async open(): ReturnType<Store['open']> {
    this.opened++
    return this.#inner.open()
  }

  async write(batch: readonly Write[]): Promise<readonly Answer[]> {
    this.batches.push(batch)
    await this.#hung
    await this.#next(batch, 'before')?.meet([], batch)
    const lost = this.loses()
    if (lost === 'before') throw new Error('reply lost before the commit')
    const answers = await this.#carryOut(batch)
    if (lost === 'after') throw new Error('reply lost after the commit')
    return (await this.#next(batch, 'after')?.meet(answers, batch)) ?? answers
  }

  async read<K extends QuestionKind>(question: QuestionOf<K>): Promise<Questions[K][1]> {
    await this.#hung
    if (this.#unread-- > 0) throw new Error('the question was lost')
    return this.#inner.read(question)
  }

  wakes(changed: () => void): Disposable {
    return this.#inner.wakes(changed)
  }

  within(tx: unknown): ReturnType<Store['within']> {
    return this.#inner.within(tx)
  }

  begin(claim: Parameters<Store['begin']>[0]): ReturnType<Store['begin']> {
    return this.#inner.begin(claim)
  }

  async close(): Promise<void> {
    this.closed++
    await this.#hung
    await this.#inner.close()
  }

  async #carryOut(batch: readonly Write[]): Promise<readonly Answer[]> {
    const replaced = this.#replaced.find(({ kind, left }) => left > 0 && batch.some((write) => write.kind === kind))
    if (replaced === undefined) return this.#inner.write(batch)
    replaced.left--
    const answers = [...(await this.#inner.write(batch.filter(({ kind }) => kind !== replaced.kind)))]
    return batch.map(({ kind }) => (kind === replaced.kind ? replaced.make() : answers.shift()!))
  }

  #add(trouble: Trouble): void {
    this.#troubles.push(trouble)
  }

  #next(batch: readonly Write[], moment: Moment): Trouble | undefined {
    const found = this.#troubles.find(
      (trouble) => trouble.left > 0 && trouble.moment === moment && batch.some(({ kind }) => kind === trouble.kind),
    )
    if (found !== undefined) found.left--
    return found
  }
}

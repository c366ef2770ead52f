import { equal, fail, ok } from 'node:assert/strict'
import type { Claim, InstanceId, RunId } from '../../core/claim.ts'
import type { ErrorCode } from '../../core/errors.ts'
import type { InstanceRecord } from '../../core/liveness.ts'
import type { Outcome, Parking } from '../../core/outcome.ts'
import type { RunError } from '../../core/run.ts'
import { EVENTS_PAGE } from '../../core/run-events.ts'
import { sleepStep, waitStep } from '../../core/waiting.ts'
import type {
  Changes,
  Claimed,
  Controlled,
  DetailsRecord,
  Kind,
  NewRun,
  Note,
  Places,
  Questions,
  Rescued,
  RunRecord,
  Settled,
  Store,
  Version,
  Write,
  WriteOf,
} from '../../stores/store.ts'

export const boom: RunError = { name: 'Error', message: 'boom' }

/** Parked for that long. */
export const sleeping = (after: number, name = 'sleep'): Parking => ({
  kind: 'parked',
  name: sleepStep(name),
  after,
  at: null,
  signal: null,
})

/** Parked until the signal comes, at the longest for `after`. */
export const waitingFor = (name: string, nth = 1, after: number | null = null): Parking => ({
  kind: 'parked',
  name: waitStep({ name, nth }),
  after,
  at: null,
  signal: { name, nth },
})

/** What instances of these checks register, where nothing else is said. */
export const registered = (fields: Partial<Version> = {}): Version => ({
  task: 'report',
  version: 1,
  thread: false,
  upcasts: false,
  ...fields,
})
const CAN = [registered(), registered({ task: 'render', thread: true })]

/** Of a claim that takes all there is. */
export const ROOM: Places = { all: 100, threads: 100, suspects: 1 }

/** A store to be checked, and its time. */
export interface Opened {
  /** Empty, and open. */
  readonly store: Store
  /** The store's own time: it stands still until `pass` moves it. */
  readonly clock: { now(): number; pass(ms: number): void | Promise<void> }
  /** A new store over the same runs and time, open, as another process has it. Absent: whoever shares them shares the store itself. */
  readonly another?: () => Promise<Store>
}

/** One store and its time, with words for what the checks do to it. */
export class World {
  readonly store: Store
  readonly #clock: Opened['clock']
  readonly #another: Opened['another']
  readonly #others: Store[] = []
  #ids = 0

  constructor({ store, clock, another }: Opened) {
    this.store = store
    this.#clock = clock
    this.#another = another
  }

  /** What is written there was written by somebody else. */
  async another(): Promise<Store> {
    if (this.#another === undefined) return this.store
    const other = await this.#another()
    this.#others.push(other)
    return other
  }

  async close(): Promise<void> {
    for (const store of [...this.#others, this.store]) await store.close()
  }

  get now(): number {
    return this.#clock.now()
  }

  async pass(ms: number): Promise<void> {
    await this.#clock.pass(ms)
  }

  /** In the order of a UUIDv7. */
  id(): RunId {
    return `01a20591-568e-7910-9286-${(++this.#ids).toString(16).padStart(12, '0')}`
  }

  run(fields: Partial<NewRun> = {}): NewRun {
    return {
      id: this.id(),
      task: 'report',
      version: 1,
      thread: false,
      queue: 'default',
      priority: 0,
      input: null,
      delay: 0,
      at: null,
      maxAttempts: 10,
      timeout: 60_000,
      onCrash: 'retry',
      owner: null,
      tags: [],
      parent: null,
      idempotency: null,
      ...fields,
    }
  }

  /** One write alone, which can be done. */
  async does<K extends Kind>(write: WriteOf<K>): Promise<Changes[K][1]> {
    const answers = await this.store.write([write as Write]) // the union forgets which kind it is of
    equal(answers.length, 1)
    const answer = answers[0]
    if (typeof answer === 'object' && 'refused' in answer) fail(`${write.kind} was refused: ${answer.message}`)
    return answer as Changes[K][1] // the seam pairs it with the kind
  }

  /** One write alone, which cannot be done. */
  async refused(write: Write): Promise<ErrorCode> {
    const [answer] = await this.store.write([write])
    if (typeof answer !== 'object' || !('refused' in answer)) fail(`${write.kind} was not refused`)
    ok(answer.message.length > 0)
    return answer.refused
  }

  async insert(fields: Partial<NewRun> = {}, more: { claimFor?: InstanceId; by?: Claim } = {}): Promise<RunId> {
    const run = this.run(fields)
    const answer = await this.does({ kind: 'insert', run, ...more })
    if (answer === 'fenced') fail('the insert was fenced')
    equal(answer.disposition, 'created')
    return run.id
  }

  /** A new instance, alive. */
  async join(can: readonly Version[] = CAN): Promise<InstanceId> {
    const instance = this.instance()
    equal(await this.presence(instance.id, 'joins', can), 'alive')
    return instance.id
  }

  async presence(
    id: InstanceId,
    change: 'joins' | 'leaves',
    can: readonly Version[] = CAN,
  ): Promise<'alive' | 'dead' | 'gone'> {
    return this.does({ kind: 'presence', instance: this.instance(id), change, can })
  }

  instance(id: InstanceId = (++this.#ids).toString(16).padStart(32, '0')): InstanceRecord {
    return { id, pid: 4711, boot: 'boot', began: '17', pidNamespace: 'pid:[1]' }
  }

  async claim(instance: InstanceId, more: Partial<WriteOf<'claim'>> = {}): Promise<Claimed> {
    const answer = await this.does({
      kind: 'claim',
      instance,
      can: CAN,
      places: ROOM,
      ...more,
    })
    return answer === 'dead' ? fail('the instance is dead') : answer
  }

  /** A run in the hands of a living instance, at its first attempt. */
  async running(fields: Partial<NewRun> = {}): Promise<{ readonly instance: InstanceId; readonly claim: Claim }> {
    const instance = await this.join()
    const run = await this.insert(fields, { claimFor: instance })
    return { instance, claim: { run, attempt: 1 } }
  }

  async settle(claim: Claim, outcome: Outcome<string | null>): Promise<Settled | 'fenced'> {
    return this.does({ kind: 'settle', claim, outcome })
  }

  async note(claim: Claim, ...notes: readonly Note[]): Promise<'done' | 'fenced'> {
    return this.does({ kind: 'note', claim, notes })
  }

  async cancel(run: RunId, reason: string | null = null): Promise<Controlled | 'unknown'> {
    return this.does({ kind: 'control', run, verb: 'cancel', reason })
  }

  async control(run: RunId, verb: 'rerun' | 'remove'): Promise<Controlled | 'unknown'> {
    return this.does({ kind: 'control', run, verb, reason: null })
  }

  /** The n-th of its name, where it is the n-th time. */
  async signal(run: RunId, name: string, payload = 'null'): Promise<'done' | 'unknown' | 'finished'> {
    return this.does({ kind: 'signal', run, name, payload })
  }

  /** These die, and their runs are taken back. */
  async rescue(dead: readonly InstanceId[], limit = 100): Promise<Omit<Rescued, 'dead'>> {
    const { waiting, ended } = await this.does({ kind: 'rescue', dead, limit })
    return { waiting, ended }
  }

  async find(run: RunId): Promise<RunRecord> {
    return (await this.store.read({ kind: 'find', run })) ?? fail(`there is no run ${run}`)
  }

  async details(run: RunId): Promise<DetailsRecord> {
    return (await this.store.read({ kind: 'details', run })) ?? fail(`there is no run ${run}`)
  }

  async events(run: RunId, after = 0): Promise<NonNullable<Questions['events'][1]>> {
    const page = (await this.store.read({ kind: 'events', run, after })) ?? fail(`there is no run ${run}`)
    const last = page.events.at(-1)
    if (last === undefined || page.events.length < EVENTS_PAGE) return page
    const rest = await this.events(run, last.number)
    return { ...page, events: [...page.events, ...rest.events] }
  }

  /** All that can be seen of a run. */
  async all(run: RunId): Promise<object> {
    return { ...(await this.events(run)), ...(await this.details(run)) }
  }
}

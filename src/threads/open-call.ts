import { claimText } from '../core/claim.ts'
import { OffstageError } from '../core/errors.ts'
import type { ProgressRecord } from '../core/run.ts'
import type { RunHandle } from '../core/start.ts'
import type { AnyTask, DurableContext, OwnTransaction, Task } from '../core/task.ts'
import type { Call } from '../runtime/executor.ts'
import { attemptEnded, revive, type Asks, type OfCall, type OfChild } from './protocol.ts'

/** A call that has not ended: it waits for a thread, or runs on one. */
export class OpenCall {
  readonly call: Call
  readonly #answer = Promise.withResolvers<unknown>()
  readonly #children = new Map<string, RunHandle<unknown>>()
  #over: AbortController | undefined
  #abort: (reason: unknown) => void = () => {}

  constructor(call: Call) {
    this.call = call
    call.context.signal.addEventListener('abort', this.#aborted, { once: true })
  }

  get result(): Promise<unknown> {
    return this.#answer.promise
  }

  /** What an abort does from now on. */
  onAbort(act: (reason: unknown) => void): void {
    this.#abort = act
  }

  return(value: unknown): void {
    this.#answer.resolve(value)
    this.#end()
  }

  throw(error: unknown): void {
    this.#answer.reject(error)
    this.#end()
  }

  /** What the attempt's code said; true: it has ended. */
  hear(said: OfCall): boolean {
    const { context } = this.call
    switch (said.kind) {
      case 'returned':
        this.return(said.value)
        return true
      case 'threw':
        this.throw(revive(said.failure))
        return true
      case 'parked':
        this.#journal().park(said.parking)
        this.return(undefined)
        return true
      case 'progress':
        context.progress(asGiven(said.progress))
        return false
      case 'output':
        context.emit(said.data as string) // what may be emitted was checked where it was
        return false
      case 'log':
        context.log[said.level](said.fields, said.message)
        return false
    }
  }

  recall(name: string): Promise<string | null | undefined> {
    return this.#journal().recall(name)
  }

  record(name: string, result: string | null): Promise<string | null> {
    return this.#journal().record(name, result)
  }

  get tx(): OwnTransaction | undefined {
    return (this.call.context as Partial<DurableContext>).tx // a durable run's context is that
  }

  query({ text, values }: Asks['tx.query'][0]): Promise<Asks['tx.query'][1]> {
    const { tx } = this
    // The thread was told whether there is one.
    if (tx === undefined) throw attemptEnded()
    return tx.query(text, values)
  }

  async start(task: AnyTask, { input, options }: Asks['start'][0]): Promise<Asks['start'][1]> {
    const handle = await this.call.context.start(task as Task<unknown, unknown>, input, options) // its schema, or its caller, vouches for the input
    this.#children.set(handle.id, handle)
    return { id: handle.id, disposition: handle.disposition }
  }

  status({ child }: OfChild): Promise<Asks['status'][1]> {
    return this.#child(child).status()
  }

  /** This wait ends with the call, so that a thread that died waits for nothing. */
  resultOf({ child, timeout }: Asks['result'][0]): Promise<unknown> {
    this.#over ??= new AbortController()
    return this.#child(child).result({ ...(timeout === undefined ? {} : { timeout }), signal: this.#over.signal })
  }

  cancel({ child, reason }: Asks['cancel'][0]): Promise<Asks['cancel'][1]> {
    return this.#child(child).cancel(reason)
  }

  readonly #aborted = (): void => this.#abort(this.call.context.signal.reason)

  #end(): void {
    this.call.context.signal.removeEventListener('abort', this.#aborted)
    this.#over?.abort(attemptEnded())
  }

  #journal(): NonNullable<Call['journal']> {
    const { journal, task } = this.call
    if (journal === undefined)
      throw new OffstageError(
        'OFFSTAGE_NOT_DURABLE',
        `\`ctx.step\` needs \`durable: true\` on the task "${task.name}".`,
      )
    return journal
  }

  #child(id: string): RunHandle<unknown> {
    const handle = this.#children.get(id)
    if (handle === undefined)
      throw new OffstageError(
        'OFFSTAGE_RUN_NOT_FOUND',
        `The attempt ${claimText(this.call.claim)} started no run with the id "${id}".`,
      )
    return handle
  }
}

/** As the task's code said it: a context makes the record itself. */
const asGiven = (progress: ProgressRecord): Parameters<Call['context']['progress']>[0] =>
  progress.done === undefined ? (progress.fraction ?? 0) : { ...progress, done: progress.done }

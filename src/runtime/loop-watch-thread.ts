import { writeSync } from 'node:fs'
import type { Session } from 'node:inspector'
import { parentPort, threadId, workerData, type MessagePort } from 'node:worker_threads'
import { endProcess, realClock, realLoop } from './world.ts'

export interface WatchData {
  /** Between two looks, as between two ticks of the other side. */
  readonly every: number
  /** Looks since the last tick: the other side sets it to nothing. */
  readonly looks: Int32Array
  /** Milliseconds from the last tick to the first timeout of a run under way. */
  readonly left: Int32Array
  /** Whether the other side is the process's main thread, and may be interrupted. */
  readonly canAsk: boolean
  readonly exits: boolean
}

/** What the blocked thread is in the middle of. */
export interface Asked {
  readonly name: string
  readonly at: string | null
  /** Milliseconds to its timeout; null: it has none. */
  readonly left: number | null
}

/** Looks without a tick: then it is asked; and an answer that has not come for so many is not to be had. */
const LOOKS = { ask: 3, giveUp: 4 }
/** A run may come back by itself so long after its timeout. A store takes its run from it by then. */
const GRACE = 1_000

/** Evaluated on the blocked thread, between two of its instructions. */
const QUESTION = `(told => (process[Symbol.for('offstage.blocked.${threadId}')]?.(told), told))([])`

/** Looks for the ticks of another thread's event loop. Counts its own looks: a process that was stopped has made none meanwhile. */
class Watcher {
  readonly #data: WatchData
  #underWay: readonly string[] = []
  #ticks: Disposable | undefined
  #session: Session | undefined
  /** The look at which the question under way was asked. */
  #asked: number | undefined
  #reported = false

  constructor(data: WatchData) {
    this.#data = data
  }

  /** What is under way there; nothing: there is nothing to watch. */
  hear(underWay: readonly string[]): void {
    this.#underWay = underWay
    if (underWay.length > 0) this.#ticks ??= realLoop.every(this.#data.every, () => this.#look())
    else {
      this.#ticks?.[Symbol.dispose]()
      this.#ticks = undefined
      this.#turns()
    }
  }

  #look(): void {
    const looks = Atomics.add(this.#data.looks, 0, 1) + 1
    if (looks === 1) this.#turns()
    if (looks < LOOKS.ask) return
    this.#ask(looks)
    const isMute = !this.#data.canAsk || looks - (this.#asked ?? looks) >= LOOKS.giveUp
    const blocked = looks * this.#data.every
    if (isMute && blocked > Atomics.load(this.#data.left, 0) + GRACE + this.#data.every)
      this.#report(`A run is past its timeout and the event loop is blocked${this.#since()}. ${this.#suspects()}`)
  }

  #turns(): void {
    this.#session?.disconnect()
    this.#session = undefined
    this.#asked = undefined
    this.#reported = false
  }

  #ask(looks: number): void {
    if (!this.#data.canAsk || this.#asked !== undefined) return
    this.#asked = looks
    this.#session ??= connected()
    this.#session.post('Runtime.evaluate', { expression: QUESTION, returnByValue: true }, (error, answer) => {
      if (error !== null) return // as one that was not answered
      // The end of a native call lets a late question through: whether it goes on is for the next one to find out.
      const isFresh = Atomics.load(this.#data.looks, 0) - looks <= 1
      this.#asked = undefined
      if (isFresh) this.#hearOf(answer.result.value as readonly (Asked | null)[]) // the expression answers with its array
    })
  }

  #hearOf([who]: readonly (Asked | null)[]): void {
    if (!who || who.left === null || who.left > -GRACE) return
    const at = who.at === null ? '' : `, at ${who.at}`
    this.#report(`The task ${who.name} is past its timeout and blocks the event loop${this.#since()}${at}.`)
  }

  #since(): string {
    const ms = Atomics.load(this.#data.looks, 0) * this.#data.every
    return ` since ${new Date(realClock.now() - ms).toISOString()}`
  }

  #suspects(): string {
    return `Under way were ${this.#underWay.join(', ')}, and what began within the last ${this.#data.every} ms before.`
  }

  /** Once for each time that it blocks. The application's logger is on the thread that is blocked. */
  #report(words: string): void {
    if (this.#reported) return
    this.#reported = true
    const { exits } = this.#data
    const end = exits ? ' The process ends now, as `onHang` says.' : ''
    try {
      writeSync(
        2,
        `offstage error: ${words} Nothing else goes on in this process. Code like that belongs on a thread: \`thread: true\`.${end}\n`,
      )
    } catch {
      // Nobody reads it, or its pipe is full.
    }
    if (exits) this.#end()
  }

  /** Process 1 of a container is out of reach of its own signals: there the blocked thread is made to exit, unless it is inside a native call. */
  #end(): void {
    endProcess('SIGKILL')
    if (!this.#data.canAsk) return
    this.#session ??= connected()
    this.#session.post('Runtime.evaluate', { expression: 'process.reallyExit(1)' })
  }
}

/** Only where it is needed: a connection costs the other side as long as it lasts. */
function connected(): Session {
  const session = new (process.getBuiltinModule('node:inspector').Session)()
  session.connectToMainThread()
  return session
}

function serve(port: MessagePort, data: WatchData): void {
  const watcher = new Watcher(data)
  port.on('message', (underWay: readonly string[]) => watcher.hear(underWay))
}

if (parentPort) serve(parentPort, workerData as WatchData) // loop-watch.ts starts it with this

import { existsSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { InstanceId } from '../../core/claim.ts'
import type { Clock } from '../../core/clock.ts'
import type { InstanceRecord, Liveness } from '../../core/liveness.ts'
import { isObject } from '../../core/options.ts'
import { Beat } from './beat.ts'
import { storeError } from './failures.ts'
import { HOLD } from './sql/settings.ts'

/**
 * Who is alive on this machine. Each instance holds a lock on a file of its own, which the kernel drops with the process: one that
 * is merely stopped keeps it. It belongs to the main thread: a thread that is ended closes its connections.
 */
export class Presence implements Liveness {
  readonly #folder: string
  readonly #here: Here
  readonly #beat: Beat
  #held: { readonly lock: DatabaseSync; readonly file: string } | undefined

  constructor(folder: string, clock: Clock) {
    this.#folder = folder
    this.#here = here()
    this.#beat = new Beat(clock, (id) => join(folder, `${id}.beat`))
  }

  begin(id: InstanceId): InstanceRecord {
    this.end()
    const file = this.#fileOf(id)
    try {
      this.#held = { lock: hold(file), file }
      this.#beat.begin(id)
    } catch (error) {
      throw storeError(error, file)
    }
    return { id, pid: process.pid, ...this.#here }
  }

  beat(): void {
    this.#beat.go()
  }

  /**
   * Of another boot; or its lock is free, and its process gone or the instance silent: it may have ended while its process goes on. What it
   * left behind is removed.
   */
  dead(instances: readonly InstanceRecord[]): readonly InstanceId[] {
    const dead = instances.filter((one) => isOfAnotherBoot(one, this.#here) || this.#isDead(one))
    for (const { id } of dead) {
      remove(this.#fileOf(id))
      this.#beat.forget(id)
    }
    return dead.map(({ id }) => id)
  }

  /** Two evidences: a lock alone can be lost by whoever opens and closes its file in the process that holds it (POSIX). */
  #isDead(one: InstanceRecord): boolean {
    const isOver = (isKnowable(one, this.#here) && isGone(one)) || this.#beat.isSilent(one.id)
    return isOver && isFree(this.#fileOf(one.id))
  }

  end(): void {
    this.#beat.end()
    this.#held?.lock.close()
    if (this.#held) remove(this.#held.file)
    this.#held = undefined
  }

  #fileOf(id: InstanceId): string {
    return join(this.#folder, `${id}.alive`)
  }
}

/** Throws SQLITE_BUSY where another process has it. */
function hold(file: string): DatabaseSync {
  const lock = new DatabaseSync(file, { timeout: 0 })
  try {
    lock.exec(HOLD)
    return lock
  } catch (error) {
    lock.close()
    throw error
  }
}

/** Whatever stands in the way of knowing is not a proof. */
function isFree(file: string): boolean {
  if (!existsSync(file)) return true
  try {
    hold(file).close()
    return true
  } catch {
    return false
  }
}

const remove = (file: string): void => {
  for (const leftover of [file, `${file}-journal`]) rmSync(leftover, { force: true })
}

/** Where a process id means a process; each empty where it cannot be known. */
type Here = Pick<InstanceRecord, 'boot' | 'began' | 'pidNamespace'>

const here = (): Here => ({
  boot: textOf(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
  began: statOf('self')?.began ?? '',
  pidNamespace: textOf(() => readlinkSync('/proc/self/ns/pid')),
})

function textOf(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}

/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: the third field is its state, the 22nd when it began. */
function statOf(pid: number | 'self'): { readonly isOver: boolean; readonly began: string } | undefined {
  const stat = textOf(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  // The name before it is in brackets and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, began] = [fields[0], fields[19]]
  return began === undefined ? undefined : { isOver: state === 'Z' || state === 'X', began }
}

const isOfAnotherBoot = (one: InstanceRecord, me: Here): boolean =>
  me.boot !== '' && one.boot !== '' && me.boot !== one.boot

/** A process id means the same process to both. */
const isKnowable = (one: InstanceRecord, me: Here): boolean =>
  one.boot !== '' &&
  one.boot === me.boot &&
  one.began !== '' &&
  one.pidNamespace !== '' &&
  one.pidNamespace === me.pidNamespace

/** No process of that id, or one that began at another time, or one that has ended and was not waited for. */
function isGone(one: InstanceRecord): boolean {
  const stat = statOf(one.pid)
  return stat === undefined ? !exists(one.pid) : stat.isOver || stat.began !== one.began
}

/** Asks the kernel: /proc may hide the processes of other users. */
function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return !(isObject(error) && error['code'] === 'ESRCH')
  }
}

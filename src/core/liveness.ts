import type { InstanceId } from './claim.ts'

/** What an instance leaves behind so that others can tell whether it lives. Kept by the store as it is. */
export interface InstanceRecord {
  readonly id: InstanceId
  readonly pid: number
  /** Of the machine's present boot; a record of another boot is of a dead process. Empty where it cannot be known. */
  readonly boot: string
  /** When the process began, in the kernel's ticks; empty where it cannot be known. */
  readonly began: string
  /** The namespace in which `pid` means this process; empty where it cannot be known. */
  readonly pidNamespace: string
}

/** Who is alive, and how that is known. Each store brings its own. */
export interface Liveness {
  /** Makes this process's life visible under that id, until `end`. */
  begin(id: InstanceId): InstanceRecord
  /** Shows that this instance lives, for those who cannot ask the kernel. Called in each round; does something when it is time. */
  beat(): void
  /** Which of these are proven dead. A doubt is not a proof. */
  dead(instances: readonly InstanceRecord[]): readonly InstanceId[]
  /** Takes back what `begin` laid out. */
  end(): void
}

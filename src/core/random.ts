/** Chance, as an argument. */
export interface Random {
  /** A UUIDv7: at least 62 fresh random bits and the time in milliseconds. */
  runId(): string
  /** 128 random bits as 32 hexadecimal digits: never a host, a pid or a name. */
  instanceId(): string
  /** From 0 up to, and without, 1. */
  fraction(): number
}

/** What a thread can be blocked on, and be let go from: memory of both. */
export const newGate = (): Int32Array => new Int32Array(new SharedArrayBuffer(4))

export function open(gate: Int32Array): void {
  Atomics.store(gate, 0, 1)
  Atomics.notify(gate, 0)
}

/** Settles when another thread has opened it. */
export const opened = async (gate: Int32Array): Promise<unknown> => Atomics.waitAsync(gate, 0, 0).value

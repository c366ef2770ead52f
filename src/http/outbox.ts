/** Bytes that may wait for one connection. */
const MOST = 65_536

/** Frames that wait for their reader, who takes all of them at once. */
export class Outbox {
  #frames: { readonly text: string; readonly thin: boolean }[] = []
  #bytes = 0
  #closed = false
  #reader: PromiseWithResolvers<void> | undefined
  #writer: PromiseWithResolvers<true> | undefined

  get isEmpty(): boolean {
    return this.#frames.length === 0
  }

  /** `thin`: where too much waits, only the latest of these is kept. */
  put(text: string, thin = false): void {
    if (this.#closed) return
    this.#frames.push({ text, thin })
    this.#bytes += Buffer.byteLength(text)
    if (this.#bytes > MOST) this.#thinOut()
    this.#reader?.resolve()
  }

  /** undefined: there is room. Else settles with true when the reader has taken something or the box was closed. */
  room(): Promise<true> | undefined {
    if (this.#closed || this.#bytes <= MOST) return undefined
    this.#writer ??= Promise.withResolvers()
    return this.#writer.promise
  }

  /** Everything that waits, as one text, as soon as there is something; undefined: nothing will come. */
  async take(): Promise<string | undefined> {
    while (this.isEmpty && !this.#closed) {
      this.#reader = Promise.withResolvers()
      await this.#reader.promise
    }
    const texts = this.#frames.map(({ text }) => text)
    this.#frames = []
    this.#bytes = 0
    this.#free()
    return texts.length === 0 ? undefined : texts.join('')
  }

  /** What waits can still be taken. */
  close(): void {
    this.#closed = true
    this.#reader?.resolve()
    this.#free()
  }

  #free(): void {
    this.#writer?.resolve(true)
    this.#writer = undefined
  }

  #thinOut(): void {
    const last = this.#frames.findLast(({ thin }) => thin)
    this.#frames = this.#frames.filter((frame) => !frame.thin || frame === last)
    this.#bytes = this.#frames.reduce((bytes, { text }) => bytes + Buffer.byteLength(text), 0)
  }
}

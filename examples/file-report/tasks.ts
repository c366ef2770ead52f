import { createHash } from 'node:crypto'
import { appendFileSync, createReadStream } from 'node:fs'
import { appendFile, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { CanceledError, task, type RunHandle, type TaskContext } from 'offstage'
import { columnsOf, type Column } from './columns.ts'
import { planOf, readSection, type Part, type Plan } from './reading.ts'
import { mostFrequent, type FrequentWord } from './words.ts'

/** A file that was uploaded, and the name that it had at home. Inputs are small: the bytes stay where they are. */
export interface Upload {
  readonly path: string
  readonly name: string
}

export interface Digest {
  readonly sha256: string
  /** Compressed size by size; of an empty file there is none. */
  readonly gzipRatio: number | null
}

export interface Report extends Digest {
  readonly name: string
  readonly size: number
  readonly kind: Plan['kind']
  readonly lines: number
  readonly words: number
  readonly frequent: readonly FrequentWord[]
  readonly csv: { readonly rows: number; readonly odd: number; readonly columns: readonly Column[] } | null
}

const MIB = 1024 * 1024
const FREQUENT = 10

/** In memory: a line that nobody waits for, and that a crash may cost. */
export const audit = task({
  name: 'audit',
  run: ({ file, line }: { file: string; line: string }) => appendFile(file, `${new Date().toISOString()} ${line}\n`),
})

/** Durable and on a thread: heavy, so that it must not hold up a request; without steps, so that a repeated attempt begins anew. */
export const digest = task({
  name: 'digest',
  durable: true,
  thread: true,
  retry: 3,
  run: async ({ path, size }: { path: string; size: number }, ctx): Promise<Digest> => {
    note(path, 'digest', ctx.attempt)
    const hash = createHash('sha256')
    let [read, packed] = [0, 0]
    // The stream heeds the signal between two chunks; a chunk blocks the thread, and nobody else is on it.
    for await (const chunk of createReadStream(path, { highWaterMark: MIB, signal: ctx.signal })) {
      hash.update(chunk)
      packed += gzipSync(chunk).length
      ctx.progress({ done: (read += chunk.length), total: size })
    }
    return { sha256: hash.digest('hex'), gzipRatio: size === 0 ? null : packed / size }
  },
})

/** Durable, in steps: after a crash it goes on behind the last step that was finished. */
export const report = task({
  name: 'report',
  durable: true,
  retry: 3,
  run: async ({ path, name }: Upload, ctx): Promise<Report> => {
    const plan = await ctx.step('plan', () => {
      note(path, 'plan', ctx.attempt)
      return planOf(path, name)
    })
    // A child run: begun once, however often this attempt is repeated. It works on its thread while we read.
    const hashing = await ctx.start(digest, { path, size: plan.size })
    try {
      if (plan.kind === 'binary') void showProgressOf(hashing, ctx) // nobody waits for it: should it fail, that is reported
      const parts: Part[] = []
      for (const [index, section] of plan.sections.entries()) {
        const step = `section ${index + 1} of ${plan.sections.length}`
        const part = await ctx.step(step, async ({ signal }) => {
          note(path, step, ctx.attempt)
          const read = await readSection(path, section, { csv: plan.csv, signal })
          ctx.progress({ done: section.end, total: plan.size }) // in here: what is remembered is not told again
          return read
        })
        parts.push(part)
      }
      if (plan.sections.length > 0)
        ctx.progress({ done: plan.size, total: plan.size, message: 'waiting for the digest' })
      const digested = await hashing.result() // meanwhile our place is free for other runs
      ctx.progress(1)
      await ctx.step('remove the upload', () => {
        note(path, 'remove the upload', ctx.attempt)
        return rm(path, { force: true })
      })
      return { name, size: plan.size, kind: plan.kind, ...countsOf(plan, parts), ...digested }
    } catch (error) {
      // Only then: after a shutdown or a failure the next attempt needs both.
      if (ctx.signal.reason instanceof CanceledError) await discard(hashing, path)
      throw error
    }
  },
})

/** Of a file that is not read in sections there is no other progress to show. */
async function showProgressOf(run: RunHandle<Digest>, ctx: TaskContext): Promise<void> {
  for await (const { type, data } of run.events({ signal: ctx.signal }))
    if (type === 'progress') ctx.progress({ done: 0, ...data, message: 'hashing and compressing' })
}

async function discard(run: RunHandle<Digest>, path: string): Promise<void> {
  await run.cancel()
  await run.result().catch(() => undefined) // its end first: an open file cannot be removed everywhere
  await rm(path, { force: true })
}

function countsOf({ csv }: Plan, parts: readonly Part[]): Pick<Report, 'lines' | 'words' | 'frequent' | 'csv'> {
  const words = parts.map((part) => part.words)
  const columns = parts.flatMap((part) => part.columns ?? [])
  return {
    lines: sum(parts, ({ newlines }) => newlines) + (parts.at(-1)?.open ? 1 : 0),
    words: sum(words, (section) => section.words),
    frequent: mostFrequent(words, FREQUENT),
    csv: csv && {
      rows: sum(columns, ({ rows }) => rows),
      odd: sum(columns, ({ odd }) => odd),
      columns: columnsOf(csv, columns),
    },
  }
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0)

/** The journal: a line for each step that is performed, by which the demo counts them. Written at once, so that a crash cannot lose it. */
function note(path: string, step: string, attempt: number): void {
  appendFileSync(join(dirname(path), 'journal.log'), `${basename(path)}\t${step}\tattempt ${attempt}\n`)
}

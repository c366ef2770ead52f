import { Violation } from './invariants.ts'
import { Trace } from './trace.ts'
import { World } from './world.ts'

export interface Verdict {
  readonly seed: number
  /** The rule that was broken; undefined: all of them hold. */
  readonly broken: string | undefined
  readonly words: string
  /** How much happened, and how much time passed in it. */
  readonly happened: number
  readonly passed: number
  /** How often each situation came up. */
  readonly met: ReadonlyMap<string, number>
}

export interface Ways {
  readonly trace?: Trace
  /** Copies as in earnest: the memory store's are a quarter of all the time, and the engine alters nothing that it is given. */
  readonly copies?: boolean
}

/** One seed: the same every time. No turn of the event loop passes meanwhile. */
export async function simulate(seed: number, { trace, copies = false }: Ways = {}): Promise<Verdict> {
  const { structuredClone } = globalThis
  if (!copies) globalThis.structuredClone = itself
  try {
    return await play(seed, trace)
  } finally {
    globalThis.structuredClone = structuredClone
  }
}

const itself = <T>(value: T): T => value

async function play(seed: number, trace: Trace | undefined): Promise<Verdict> {
  const world = new World(seed, trace)
  const verdict = (broken?: string, words = ''): Verdict => {
    const { happened, passed, met } = world
    return { seed, broken, words, happened, passed, met }
  }
  try {
    await world.run()
    return verdict()
  } catch (error) {
    if (error instanceof Violation) return verdict(error.rule, error.message)
    return verdict(
      'the engine throws nothing of its own',
      error instanceof Error ? (error.stack ?? error.message) : String(error),
    )
  }
}

/** The same seed again, every line of it kept. */
export async function replay(
  seed: number,
  ways: Omit<Ways, 'trace'> = {},
): Promise<{ readonly verdict: Verdict; readonly trace: Trace }> {
  const trace = new Trace()
  return { verdict: await simulate(seed, { ...ways, trace }), trace }
}

/** What a reader of a failure needs: what broke, how to see it again, and how it came to it. */
export async function story(seed: number, lines = 60): Promise<string> {
  const { verdict, trace } = await replay(seed)
  const { broken, words, happened, passed } = verdict
  return [
    broken === undefined ? `Seed ${seed}: every rule holds.` : `Seed ${seed} broke: ${broken}\n${words}`,
    `Again: SEED=${seed} vitest run test/simulator`,
    `The last ${lines} of what happened (${happened} events, ${Math.round(passed)} ms of virtual time; LINES=n for more):`,
    trace.last(lines),
  ].join('\n')
}

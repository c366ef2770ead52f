import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { chance, long } from './support/chance.ts'
import { tell } from './support/figures.ts'
import { Fleet, type Instance } from './support/fleet.ts'

/** What a run may come to after each answer. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  canceled: ['canceled'],
  // Its code was asked to stop, and may have been through already.
  canceling: ['canceled', 'succeeded'],
  finished: ['succeeded'],
}

test('F55: cancel, at any moment of a run and from any process, is answered truthfully', async () => {
  const { between, pick } = chance('F55')
  const [seeds, together] = [long(1_000, 200), 10]
  await using fleet = new Fleet()
  // Few places: some are canceled while they wait.
  const all = await Promise.all([1, 2].map(() => fleet.start({ options: { worker: { concurrency: 4 } } })))
  all.push(await fleet.start({ options: { worker: false } }))
  const answers: { readonly run: string; readonly answer: string; readonly state: string }[] = []
  const race = async (starter: Instance, canceler: Instance): Promise<void> => {
    const task = pick(['work', 'work', 'deaf'])
    const run = await starter.ask('start', task, { ms: Math.floor(between(0, 30)) })
    await sleep(between(0, 60))
    const answer = await canceler.ask('cancel', task, run)
    const { state } = await canceler.ask('status', task, run)
    answers.push({ run, answer, state })
  }
  for (let done = 0; done < seeds; done += together)
    await Promise.all(Array.from({ length: together }, () => race(pick(all), pick(all))))
  await fleet.quiet(15_000)
  const runs = new Map(fleet.runs().map((run) => [run.id, run]))
  const of = (one: string): number => answers.filter(({ answer }) => answer === one).length
  tell('F55', { races: answers.length, ...Object.fromEntries(Object.keys(ALLOWED).map((one) => [one, of(one)])) })
  for (const { run, answer, state } of answers) {
    const { state: final, result, attempt } = runs.get(run)!
    expect(ALLOWED[answer], `${answer}, then ${final}`).toContain(final)
    // What is final at the answer was final: `finished` does not lie, and neither does `canceled`.
    if (answer !== 'canceling') expect(state).toBe(final)
    expect(final === 'canceled' && result !== null).toBe(false)
    if (final === 'succeeded') expect(JSON.parse(result!)).toEqual({ attempt })
  }
  for (const one of Object.keys(ALLOWED)) expect(of(one), one).toBeGreaterThan(0)
  expect(fleet.judged().found).toEqual([])
})

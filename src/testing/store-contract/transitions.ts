import { deepEqual, equal } from 'node:assert/strict'
import type { InstanceId, RunId } from '../../core/claim.ts'
import { canceled, failed, released, retryIn, succeeded } from '../../core/outcome.ts'
import { STATES, TABLE, type RunVerb, type State } from '../../core/run-state.ts'
import type { StorePromise } from './promise.ts'
import { boom, type World } from './world.ts'

interface Subject {
  readonly run: RunId
  readonly holder: InstanceId
}

/** How a run gets into each state. */
const LEADS: Readonly<Record<State, (world: World) => Promise<Subject>>> = {
  waiting: async (world) => ({ run: await world.insert(), holder: await world.join() }),
  running: async (world) => {
    const { instance, claim } = await world.running()
    return { run: claim.run, holder: instance }
  },
  succeeded: async (world) => ended(world, succeeded('1')),
  failed: async (world) => ended(world, failed('error', boom)),
  canceled: async (world) => ended(world, canceled(boom)),
}

async function ended(world: World, outcome: Parameters<World['settle']>[1]): Promise<Subject> {
  const { instance, claim } = await world.running()
  await world.settle(claim, outcome)
  return { run: claim.run, holder: instance }
}

const settling =
  (outcome: Parameters<World['settle']>[1]) =>
  async (world: World, { run }: Subject): Promise<unknown> =>
    world.settle({ run, attempt: 1 }, outcome)

/** How each verb is said. Those that this seam has no write for yet are not there. */
const SAYINGS: Readonly<Partial<Record<RunVerb, (world: World, subject: Subject) => Promise<unknown>>>> = {
  claim: async (world, { holder }) => world.claim(holder),
  succeed: settling(succeeded('2')),
  fail: settling(failed('error', boom)),
  retry: settling(retryIn(0, 'error', boom)),
  release: settling(released),
  rescue: async (world, { holder }) => world.rescue([holder]),
  cancel: async (world, { run }) => {
    await world.cancel(run)
    await settling(canceled(boom))(world, { run, holder: '' })
  },
}

const cell = (state: State, verb: RunVerb, say: (world: World, subject: Subject) => Promise<unknown>): StorePromise => {
  const to = TABLE[state][verb]
  return {
    promise: `${state}, ${verb}: ${to ?? 'refused, and nothing changes'}`,
    keep: async (world) => {
      const subject = await LEADS[state](world)
      const before = await world.all(subject.run)
      await say(world, subject)
      if (to === undefined) deepEqual(await world.all(subject.run), before)
      else equal((await world.find(subject.run)).state, to)
    },
  }
}

/** Each cell of the state table that this seam can reach. */
export const transitions: readonly StorePromise[] = STATES.flatMap((state) =>
  (Object.keys(SAYINGS) as RunVerb[]).flatMap((verb) => {
    const say = SAYINGS[verb]
    return say === undefined ? [] : [cell(state, verb, say)]
  }),
)

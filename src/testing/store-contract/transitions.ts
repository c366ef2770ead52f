import { deepEqual, equal } from 'node:assert/strict'
import { canceled, failed, released, retryIn, succeeded } from '../../core/outcome.ts'
import { STATES, TABLE, VERBS, type RunVerb, type State } from '../../core/run-state.ts'
import { LEADS, type Subject } from './leads.ts'
import type { StorePromise } from './promise.ts'
import { boom, sleeping, type World } from './world.ts'

const settling =
  (outcome: Parameters<World['settle']>[1]) =>
  async (world: World, { run }: Subject): Promise<unknown> =>
    world.settle({ run, attempt: 1 }, outcome)

/** How each verb is said. */
const SAYINGS: Readonly<Record<RunVerb, (world: World, subject: Subject) => Promise<unknown>>> = {
  claim: async (world, { holder }) => world.claim(holder),
  succeed: settling(succeeded('2')),
  fail: settling(failed('error', boom)),
  retry: settling(retryIn(0, 'error', boom)),
  park: settling(sleeping(0)),
  release: settling(released),
  rescue: async (world, { holder }) => world.rescue([holder]),
  cancel: async (world, { run }) => {
    await world.cancel(run)
    await settling(canceled(boom))(world, { run, holder: '' })
  },
  rerun: async (world, { run }) => world.control(run, 'rerun'),
}

const cell = (state: State, verb: RunVerb): StorePromise => {
  const to = TABLE[state][verb]
  return {
    promise: `${state}, ${verb}: ${to ?? 'refused, and nothing changes'}`,
    keep: async (world) => {
      const subject = await LEADS[state](world)
      const before = await world.all(subject.run)
      await SAYINGS[verb](world, subject)
      if (to === undefined) deepEqual(await world.all(subject.run), before)
      else equal((await world.find(subject.run)).state, to)
    },
  }
}

/** Each cell of the state table. */
export const transitions: readonly StorePromise[] = STATES.flatMap((state) => VERBS.map((verb) => cell(state, verb)))

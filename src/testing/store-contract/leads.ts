import type { InstanceId, RunId } from '../../core/claim.ts'
import { canceled, failed, succeeded } from '../../core/outcome.ts'
import type { State } from '../../core/run-state.ts'
import { boom, type World } from './world.ts'

export interface Subject {
  readonly run: RunId
  readonly holder: InstanceId
}

/** How a run gets into each state. */
export const LEADS: Readonly<Record<State, (world: World) => Promise<Subject>>> = {
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

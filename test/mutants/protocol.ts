import type { Rule } from '../simulator/invariants.ts'
import type { Edit, Mutant } from './mutant.ts'

/** A mistake in the claim protocol, and the invariant that sees it. */
export interface ProtocolMutant extends Mutant {
  readonly killedBy: Rule
}

const MEMORY = 'src/stores/memory/store.ts'
const TRANSITIONS = 'src/stores/memory/transitions.ts'

/** An end of that kind finds its run by other means than its claim. */
const settles = (kinds: string, found: string): Edit => {
  const search = `    const kept = this.#keeping.current(claim)
    if (!kept) return 'fenced'
    if (tx.length > 0)`
  const current = 'this.#keeping.current(claim)'
  return { file: MEMORY, search, replace: search.replace(current, `${kinds} ? ${found} : ${current}`) }
}

/** The state machine refuses what a store without guards would do: such a store has none. */
const NO_STATE_MACHINE: Edit = {
  file: TRANSITIONS,
  search: 'const state = next(run.state, verb)',
  replace: "const state = verb === 'rerun' ? 'waiting' : next('running', verb)",
}

/** M1–M10 of the claim protocol: what others got wrong, one by one. */
export const PROTOCOL_MUTANTS: readonly ProtocolMutant[] = [
  {
    name: 'M1',
    about: 'a completion without the attempt guard (River, pg-boss)',
    killedBy: 'I4 the recorded end belongs to the current attempt',
    edits: [
      settles(
        "outcome.kind === 'succeeded'",
        "this.#keeping.inState('running').find(({ run }) => run.id === claim.run)",
      ),
    ],
  },
  {
    name: 'M2',
    about: 'a completion without the state guard (Oban, graphile-worker)',
    killedBy: 'I3 a terminal state never changes',
    edits: [settles("outcome.kind === 'succeeded'", 'this.#keeping.runs.get(claim.run)'), NO_STATE_MACHINE],
  },
  {
    name: 'M3',
    about: 'rescue by SELECT, then UPDATE by id (river#1302)',
    killedBy: 'I3 a terminal state never changes',
    edits: [
      {
        file: 'src/durable/rescue.ts',
        search:
          "    const answer: Rescued = accepted<'rescue'>(await ledger.add({ kind: 'rescue', dead, limit: AT_ONCE }))",
        replace: `    const select = { kind: 'rescue', dead, limit: AT_ONCE, select: true }
    const { waiting: selected } = accepted<'rescue'>(await ledger.add(select))
    const update = { kind: 'rescue', dead, limit: AT_ONCE, selected }
    const answer = accepted<'rescue'>(await ledger.add(update))`,
      },
      {
        file: MEMORY,
        search: "#rescue({ dead, limit }: WriteOf<'rescue'>, moment: Moment): seam.AnswerOf<'rescue'> {",
        replace: `#rescue({ dead, limit, select, selected }, moment: Moment) {
    if (select) {
      const isLost = ({ run }) => dead.includes(run.instance) || !this.#keeping.isAlive(run.instance)
      return { waiting: this.#keeping.inState('running').filter(isLost).map(({ run }) => run.id), ended: [], dead: [] }
    }
    for (const id of selected) {
      const kept = this.#keeping.runs.get(id)
      if (kept) transitions.leave(kept, transitions.orphaned(kept, moment.now), moment.now)
    }`,
      },
      NO_STATE_MACHINE,
    ],
  },
  {
    name: 'M4',
    about: 'the attempt number goes down on release (as a snooze does elsewhere)',
    killedBy: 'I2 the attempt number never goes down',
    edits: [
      {
        file: TRANSITIONS,
        search: "return { verb: 'release', came: 'released', dueAt: now, tries: kept.run.tries - 1 }",
        replace:
          "return { verb: 'release', came: 'released', dueAt: now, tries: kept.run.tries - 1, attempt: kept.run.attempt - 1 }",
      },
    ],
  },
  {
    name: 'M5',
    about: 'acknowledged before the commit',
    killedBy: 'I1 an acknowledged run exists until it has ended',
    edits: [
      {
        file: 'src/durable/submit.ts',
        search: "    const answer = accepted<'insert'>(await ledger.add(write))",
        replace: `    if (by === undefined) {
      void ledger.add(write).then((given) => worker.inserted(run, accepted<'insert'>(given)), () => {})
      return { id: run.id, disposition: 'created' }
    }
    const answer = accepted<'insert'>(await ledger.add(write))`,
      },
    ],
  },
  {
    name: 'M6',
    about: 'instances share an id (a host name, a pid)',
    killedBy: 'I7 attempts begun ≤ 1 + faults + retries',
    edits: [
      {
        file: 'src/durable/presence.ts',
        search: 'this.#id = this.#random.instanceId()',
        replace: "this.#id = 'the-host'",
      },
    ],
  },
  {
    name: 'M7',
    about: 'no reconcile: claimed, the reply lost, the owner alive',
    killedBy: 'I6 no run is stuck',
    edits: [
      {
        file: 'src/durable/reconcile.ts',
        search: 'if (stranded.length === 0) return',
        replace: 'if (stranded.length >= 0) return',
      },
    ],
  },
  {
    name: 'M8',
    about: 'a dead instance may claim, and no sweep of dead owners',
    killedBy: 'I6 no run is stuck',
    edits: [
      { file: MEMORY, search: "    if (!this.#keeping.isAlive(instance)) return 'dead'\n", replace: '' },
      // Only those that are named now are taken back.
      {
        file: MEMORY,
        search: '[isOrphan, transitions.orphaned],',
        replace: '[({ held }) => held !== null && dead.includes(held.instance), transitions.orphaned],',
      },
      {
        file: 'src/stores/memory/kept.ts',
        search: 'held !== null && !this.isAlive(held.instance)',
        replace: 'false',
      },
    ],
  },
  {
    name: 'M9',
    about: 'waiting runs are pruned (pg-boss, keep_until)',
    killedBy: 'I1 an acknowledged run exists until it has ended',
    edits: [
      {
        file: 'src/stores/memory/prune.ts',
        search: '  const old = ended.filter(isOld).slice(0, limit)',
        replace: `  ended.push(...[...runs.values()].filter(({ run }) => run.state === 'waiting'))
  const old = ended.filter((kept) => isOld(kept) || kept.run.state === 'waiting').slice(0, limit)`,
      },
    ],
  },
  {
    name: 'M10',
    about: 'a late failure is not fenced (oban#532)',
    killedBy: 'I3 a terminal state never changes',
    edits: [
      settles("outcome.kind === 'failed' || outcome.kind === 'retry'", 'this.#keeping.runs.get(claim.run)'),
      NO_STATE_MACHINE,
    ],
  },
]

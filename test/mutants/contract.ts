import type { Edit, Mutant } from './mutant.ts'
import { PROTOCOL_MUTANTS } from './protocol.ts'

export type StoreName = 'memory' | 'sqlite'

/** A mistake in one store, and a promise that it breaks. */
export interface StoreMutant extends Mutant {
  readonly store: StoreName
  readonly breaks: string
}

const ENDS = 'src/stores/sqlite/sql/ends.ts'

/** In a store whose schema refuses what the statement would do, the mistake goes as far as a store without that schema would let it. */
const SUCCEED = `error = null, crashes = 0, \${GONE}
where \${CURRENT}\``
const FAIL = `error = ?5, crashes = 0, \${GONE}
where \${CURRENT} and cancel_at is null\``
const RELEASE = 'due_at = ?3, tries = tries - 1, ${LEFT}'

/** The statements of SQLite with M1, M2, M4, M9 and M10. */
export const SQLITE: Readonly<Record<'M1' | 'M2' | 'M4' | 'M9' | 'M10', readonly Edit[]>> = {
  M1: [
    {
      file: ENDS,
      search: SUCCEED,
      replace: SUCCEED.replace('${CURRENT}', "id = ?1 and ?2 is not null and state = 'running'"),
    },
  ],
  M2: [
    {
      file: ENDS,
      search: SUCCEED,
      replace: SUCCEED.replace('${GONE}', 'reason = null, ${GONE}').replace('${CURRENT}', 'id = ?1 and ?2 is not null'),
    },
  ],
  M4: [{ file: ENDS, search: RELEASE, replace: `${RELEASE}, attempt = attempt - 1` }],
  M9: [
    {
      file: 'src/stores/sqlite/sql/rescues.ts',
      search: 'where state = ?1 and finished_at <= ?2',
      replace: "where (state = ?1 or state = 'waiting') and ifnull(finished_at, 0) <= ?2",
    },
  ],
  M10: [
    {
      file: ENDS,
      search: FAIL,
      replace: FAIL.replace('${GONE}', 'result = null, ${GONE}').replace(
        '${CURRENT} and cancel_at is null',
        'id = ?1 and ?2 is not null',
      ),
    },
  ],
}

/** Two commits: which are lost, then what becomes of them, whatever they are by then. */
const SELECT_THEN_UPDATE: readonly Edit[] = [
  ...(PROTOCOL_MUTANTS.find(({ name }) => name === 'M3')?.edits ?? []).filter(
    ({ file }) => file === 'src/durable/rescue.ts',
  ),
  {
    file: 'src/stores/sqlite/rescue.ts',
    search: 'const marked = dead.filter((id) => sql.markDead.run(id) === 1)',
    replace: `const marked = dead.filter((id) => sql.markDead.run(id) === 1)
  if (write.select) return { waiting: sql.orphans.rows(moment.steady, limit).map(([seq]) => String(seq)), ended: [], dead: [] }
  if (write.selected?.length > 0) {
    const error = JSON.stringify(crashedFailure)
    sql.waitAgain.run(JSON.stringify(write.selected.map(Number)), moment.now, 1, error)
  }`,
  },
  {
    file: 'src/stores/sqlite/rescue.ts',
    search: "rescue(parts: RescueParts, { dead, limit }: WriteOf<'rescue'>): Rescued {",
    replace: 'rescue(parts, write) {\n  const { dead, limit } = write',
  },
  {
    file: 'src/stores/sqlite/sql/rescues.ts',
    search: `crashes = \${CRASHES}, error = ?4, \${LEFT}
\${LISTED}`,
    replace: `crashes = \${CRASHES}, error = ?4, finished_at = null, reason = null, result = null, \${LEFT}
where seq in (select value from json_each(?1))`,
  },
]

/** A promise that each of them breaks, in either store. */
const BROKEN = {
  M1: 'the later attempt is not disturbed by the earlier one',
  M2: 'an attempt whose run was taken back writes nothing',
  M4: 'the attempt number never goes down and is never given twice',
  M9: 'what waits or runs is never forgotten, however old, and however little room there is',
  M10: 'an attempt whose run was taken back writes nothing',
} as const
const NAMES = ['M1', 'M2', 'M4', 'M9', 'M10'] as const

/** The same mistakes in both stores. */
export const STORE_MUTANTS: readonly StoreMutant[] = NAMES.flatMap((name) => {
  const { about, edits } = PROTOCOL_MUTANTS.find((mutant) => mutant.name === name) ?? { about: '', edits: [] }
  const breaks = BROKEN[name]
  return [
    { name, about, breaks, store: 'memory', edits },
    { name, about, breaks, store: 'sqlite', edits: SQLITE[name] },
  ] as const
})

/** For the storms of processes on SQLite: what the engine and the statements would do together. */
export interface StormMutant extends Mutant {
  readonly killedBy: {
    readonly file: string
    /** A storm's own name, without those of its groups. */
    readonly storm: string
    /** What it says of the defect. */
    readonly says: readonly RegExp[]
  }
}

const PAUSES = 'test/storms/pauses.test.ts'
const REPLIES = 'test/storms/replies.test.ts'

export const STORM_MUTANTS: readonly StormMutant[] = [
  {
    name: 'M1',
    about: 'a completion without the attempt guard (River, pg-boss)',
    edits: SQLITE.M1,
    killedBy: {
      file: PAUSES,
      storm: 'while the other attempt is under way changes nothing of it',
      says: [/-\s+"state": "running"/, /\+\s+"state": "succeeded"/],
    },
  },
  {
    name: 'M2',
    about: 'a completion without the state guard (Oban, graphile-worker)',
    edits: SQLITE.M2,
    killedBy: {
      file: PAUSES,
      storm: 'when its own attempt was ended as the last, timed out, changes nothing of that',
      says: [/-\s+"state": "failed"/, /\+\s+"state": "succeeded"/],
    },
  },
  {
    name: 'M3',
    about: 'rescue by SELECT, then UPDATE by id (river#1302)',
    edits: SELECT_THEN_UPDATE,
    killedBy: {
      file: REPLIES,
      storm: 'a rescue whose reply is late undoes nothing of what was done meanwhile',
      says: [/\+\s+"duplicated /, /\+\s+"repeats 2 > 1"/],
    },
  },
  {
    name: 'M7',
    about: 'no reconcile: claimed, the reply lost, the owner alive',
    edits: PROTOCOL_MUTANTS.find(({ name }) => name === 'M7')?.edits ?? [],
    killedBy: {
      file: REPLIES,
      storm: 'of a claim: the run is given back, not charged, and performed',
      says: [/runs that nobody performs/, /\+\s+".* is running, the process \d+ has it"/],
    },
  },
]

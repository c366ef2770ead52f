// npm run docs: writes the pages of docs/reference/ that say what the code says. test/docs.test.ts fails while they differ.
import { writeFileSync } from 'node:fs'
import { CATALOGUE } from '../src/core/errors.ts'
import { isDone, STATES, TABLE, VERBS } from '../src/core/run-state.ts'

/** @typedef {import('../src/core/run-state.ts').State} State */
/** @typedef {import('../src/core/run-state.ts').RunVerb} RunVerb */

/** @param {string} source */
const generated = (source) => `<!-- Generated from ${source} by \`npm run docs\`. Edit that file, not this one. -->\n`

/** The fragment of a problem's \`type\` too: src/http/problem.ts. @param {string} code */
const anchor = (code) => code.slice('OFFSTAGE_'.length).toLowerCase().replaceAll('_', '-')

/** @param {readonly string[]} cells */
const row = (cells) => `| ${cells.join(' | ')} |`

/** @param {readonly string[]} head @param {readonly (readonly string[])[]} rows */
const table = (head, rows) => [row(head), `|${'---|'.repeat(head.length)}`, ...rows.map(row)].join('\n')

const errors = () => {
  const entries = Object.entries(CATALOGUE).map(([code, entry]) => ({ code, id: anchor(code), ...entry }))
  const overview = entries.map(({ code, id, http, exit, title }) => [
    `[\`${code}\`](#${id})`,
    `${http}`,
    `${exit}`,
    title,
  ])
  const sections = entries.map(
    ({ code, id, http, exit, title, when, advice }) =>
      `## ${id}\n\n\`${code}\` · HTTP ${http} · exit code ${exit} · ${title}\n\n**When.** ${when}\n\n**What to do.** ${advice}\n`,
  )
  return `${generated('src/core/errors.ts')}
# Errors

Every error of Offstage extends \`OffstageError\`. Tell errors apart by \`code\`: it is fixed, and a code that was retired is never used
again. \`message\` is for people and may change. \`cause\` holds the original where there is one.

The HTTP status is that of an answer which carries the code; [http.md](http.md#problems) says which codes a client is told. The exit
code is for programs that end with such an error.

${table(['code', 'HTTP', 'exit', 'title'], overview)}

${sections.join('\n')}`
}

/** @type {Readonly<Record<State, string>>} */
const STATE_WORDS = {
  waiting:
    'It has not begun, it will be tried again, or it sleeps or waits for a signal. It is performed when `dueAt` has passed and a place is free.',
  running: 'An attempt is under way.',
  succeeded: 'Its code returned. `result` is what it returned.',
  failed: 'Its last try failed. `error` and `reason` say how.',
  canceled: 'It was canceled, or given up in memory at a shutdown.',
}

/**
 * What the table cannot say: by whom and when, and what becomes of the two counts.
 * @type {Readonly<Record<RunVerb, { by: string, when: string, attempt?: string, tries?: string }>>}
 */
const VERB_WORDS = {
  claim: { by: 'a worker', when: 'it is due and a place is free', attempt: '+1', tries: '+1' },
  succeed: { by: 'the holder of the claim', when: 'the code returned' },
  retry: {
    by: 'the holder; past its deadline, any instance',
    when: 'the code threw or ran out of time, and tries are left; due again after the backoff',
  },
  park: { by: 'the holder', when: 'the code sleeps or waits for a signal', tries: '−1' },
  release: { by: 'the holder', when: 'a shutdown came before the code ended; durable runs only', tries: '−1' },
  rescue: { by: 'any instance on the same store', when: 'the holder is dead; durable runs only' },
  fail: {
    by: 'the holder; any instance that finds it dead or past its deadline',
    when: 'no tries are left, or `retry.when` or `onCrash` said no',
  },
  cancel: {
    by: 'whoever may',
    when: 'waiting: at once. Running: the code is asked to stop; when it has stopped, or at the latest after 10 s',
  },
  rerun: { by: 'an operator', when: 'it failed or was canceled', tries: '0' },
}

const diagram = () => {
  const edges = STATES.flatMap((from) =>
    STATES.map((to) => ({ from, to, verbs: VERBS.filter((verb) => TABLE[from][verb] === to) })),
  )
  const arrows = edges.filter(({ verbs }) => verbs.length > 0)
  return [
    '```mermaid',
    'stateDiagram-v2',
    '  [*] --> waiting: start',
    ...arrows.map(({ from, to, verbs }) => `  ${from} --> ${to}: ${verbs.join(', ')}`),
    ...STATES.filter(isDone).map((state) => `  ${state} --> [*]`),
    '```',
  ].join('\n')
}

const lifecycle = () => {
  const verbs = VERBS.map((verb) => ({ verb, ...VERB_WORDS[verb] }))
  /** @param {State} state */
  const allowed = (state) => VERBS.map((verb) => TABLE[state][verb] ?? '')
  /** @param {State} state */
  const seen = (state) => [
    `\`${state}\``,
    isDone(state) ? 'true' : 'false',
    isDone(state) ? '`finishedAt`, `expiresAt`' : '`links.cancel`, a `Retry-After` header',
    isDone(state) ? '`done`, and the stream ends' : '`run` at each change, `progress`, `output`',
  ]
  return `${generated('src/core/run-state.ts')}
# The life of a run

A run is in one of ${STATES.length} states. What moves it from one to another is a verb. This is the whole machine, for runs in memory, on threads and
durable ones alike; the words are those of the [glossary](../glossary.md).

${diagram()}

## States

${table(
  ['state', 'done', 'means'],
  STATES.map((state) => [`**${state}**`, isDone(state) ? 'yes' : 'no', STATE_WORDS[state]]),
)}

## The table

A cell is the state that follows. An empty cell is refused.

${table(
  ['from', ...VERBS],
  STATES.map((state) => [`**${state}**`, ...allowed(state)]),
)}

## Verbs

\`attempt\` only grows. \`tries\` is what \`retry.attempts\` bounds.

${table(
  ['verb', 'said by', 'when', 'attempt', 'tries'],
  verbs.map(({ verb, by, when, attempt, tries }) => [`**${verb}**`, by, when, attempt ?? '', tries ?? '']),
)}

A run that was started while a place was free may be born claimed: it is then \`running\` from its first moment, at attempt 1.

Where cancel was requested, an end other than success becomes \`cancel\`. Three deaths of the performing process in a row become \`fail\`,
with the reason \`poisoned\`.

## What a client sees

${table(['state', '`done`', 'over HTTP besides', 'in the event stream'], STATES.map(seen))}

A client needs \`done\` alone. \`waiting\` reads like this, and no state is added for it:

${table(
  ['`waiting` with', 'means'],
  [
    ['`dueAt` past', 'in line for a place'],
    ['`dueAt` ahead, `attempt` 0', 'delayed'],
    ['`dueAt` ahead, `attempt` above 0', 'between two tries, or asleep'],
    ['`waitingFor` a name', 'it waits for that signal, at the longest until `dueAt`'],
  ],
)}
`
}

/** Each generated page, by its path from the root. */
export const pages = () => ({
  'docs/reference/errors.md': errors(),
  'docs/reference/lifecycle.md': lifecycle(),
})

if (import.meta.main) {
  for (const [path, text] of Object.entries(pages())) writeFileSync(new URL(`../${path}`, import.meta.url), text)
}

import type { Moment } from '../../core/clock.ts'
import { EVENTS_PAGE } from '../../core/run-events.ts'
import type { RunFilter } from '../../core/runs.ts'
import type * as seam from '../store.ts'
import { type Keeping, type Kept } from './kept.ts'
import { onThread } from '../../core/version.ts'

export function answer(
  keeping: Keeping,
  question: seam.Question,
  moment: Moment,
): seam.Questions[seam.QuestionKind][1] {
  switch (question.kind) {
    case 'find':
      return keeping.runs.get(question.run)?.run
    case 'events':
      return eventsOf(keeping.runs.get(question.run), question.after)
    case 'steps':
      return [...(keeping.runs.get(question.run)?.steps.values() ?? [])]
    case 'instances':
      return [...keeping.instances.values()].filter(({ dead }) => !dead).map(({ record }) => record)
    case 'performing':
      return performing(keeping, question)
    case 'details':
      return detailsOf(keeping.runs.get(question.run))
    case 'list':
      return list(keeping, question)
    case 'tally':
      return tally(keeping, question)
    case 'overdue':
      return isAnyOverdue(keeping, moment)
    case 'unperformed':
      return unperformed(keeping, question, moment.now)
  }
}

function eventsOf(kept: Kept | undefined, after: number): seam.Questions['events'][1] {
  if (!kept) return undefined
  const firstOutput = kept.events.find(({ type }) => type === 'output')?.number ?? null
  const events = kept.events.filter(({ number }) => number > after).slice(0, EVENTS_PAGE)
  return { record: kept.run, events, firstOutput }
}

const performing = (keeping: Keeping, { instance }: seam.QuestionOf<'performing'>): readonly seam.Performing[] =>
  keeping
    .inState('running')
    .filter(({ run }) => run.instance === instance)
    .map(({ run: { id: run, attempt, cancelRequested } }) => ({ claim: { run, attempt }, cancelRequested }))

function detailsOf(kept: Kept | undefined): seam.DetailsRecord | undefined {
  if (!kept) return undefined
  const { run: record, input, attempts, steps, logs } = kept
  return { record, input, attempts, steps: [...steps.values()], logs }
}

function list(keeping: Keeping, { filter, before, limit }: seam.QuestionOf<'list'>): readonly seam.RunRecord[] {
  const older = [...keeping.runs.values()].filter(({ run }) => before === null || run.id < before)
  const found = older.filter(fits(filter)).map(({ run }) => run)
  return found.sort((a, b) => (a.id > b.id ? -1 : 1)).slice(0, limit)
}

function tally(keeping: Keeping, { filter }: seam.QuestionOf<'tally'>): seam.Questions['tally'][1] {
  const counts = { waiting: 0, running: 0, succeeded: 0, failed: 0, canceled: 0 }
  for (const { run } of [...keeping.runs.values()].filter(fits(filter))) counts[run.state]++
  return counts
}

/** All that is said must hold. */
const fits = ({ tag, ...fields }: RunFilter): ((kept: Kept) => boolean) => {
  const asked = Object.entries(fields) as [keyof typeof fields, string | undefined][] // they are all texts
  return ({ run }) =>
    (tag === undefined || run.tags.includes(tag)) &&
    asked.every(([field, value]) => value === undefined || run[field] === value)
}

const isAnyOverdue = (keeping: Keeping, moment: Moment): boolean =>
  keeping
    .inState('running')
    .some((kept) => keeping.isOrphan(kept) || keeping.isOverdue(kept, moment) || keeping.isCancelOverdue(kept, moment))

/** The oldest of each task and version, as they lie in the order of their due times. */
function unperformed(
  keeping: Keeping,
  { for: patience }: seam.QuestionOf<'unperformed'>,
  now: number,
): readonly seam.Unperformed[] {
  const cans = [...keeping.instances.values()].filter(({ dead }) => !dead).map(({ can }) => can)
  const lost = keeping
    .inState('waiting')
    .map(({ run }) => run)
    .filter((run) => now - run.dueAt > patience && cans.every((can) => onThread(run, can) === undefined))
  const oldest = Map.groupBy(lost, ({ task, version }) => JSON.stringify([task, version]))
  return [...oldest.values()].flatMap(([run]) =>
    run === undefined ? [] : [{ task: run.task, version: run.version, since: run.dueAt }],
  )
}

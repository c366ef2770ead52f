import { only, type Line } from './journal.ts'
import type { StoredRun } from './store.ts'

/** What the processes wrote down, and what the store says when all is over. */
export interface History {
  readonly lines: readonly Line[]
  readonly runs: readonly StoredRun[]
}

/** Jepsen's total-queue classes, and what the promise says besides. Each names what it found. */
export interface Verdict {
  readonly acknowledged: number
  /** Not acknowledged and yet there: allowed. */
  readonly recovered: number
  /** Attempts begun beyond the first that no try of the retry policy explains. */
  readonly repeats: number
  /** How many of them the deaths of processes allow. */
  readonly allowed: number
  /** Acknowledged, and not there or without an end. */
  readonly lost: readonly string[]
  /** There, or begun, and nobody asked for it; or asked for once and there twice. */
  readonly unexpected: readonly string[]
  /** Its end was told more than once. */
  readonly duplicated: readonly string[]
  /** What is recorded, or was told, is of another attempt than the one that ended the run. */
  readonly stale: readonly string[]
  /** One attempt was begun twice, or its number went down. */
  readonly disordered: readonly string[]
  /** It succeeded by the store's word, and its code never came to its end. */
  readonly invented: readonly string[]
  /** A step whose result was on record was performed again. */
  readonly redone: readonly string[]
  /** Ended as the cause of crashes that it was not at. */
  readonly slandered: readonly string[]
}

const ENDED = new Set(['succeeded', 'failed', 'canceled'])
/** Of core/rescue.ts: said again, so that a change there is noticed here. */
const POISONED_AT = 3

/** Pure: the same history, the same verdict. */
export function check({ lines, runs }: History): Verdict {
  const acks = only(lines, 'ack')
  const byId = new Map(runs.map((run) => [run.id, run]))
  const begins = groupedByRun(only(lines, 'begin'))
  const kills = only(lines, 'killed')
  return {
    acknowledged: acks.length,
    recovered: runs.filter(({ parent }) => parent === null).length - acks.filter(({ run }) => byId.has(run)).length,
    repeats: repeats(begins, lines),
    allowed: kills.reduce((sum, { held }) => sum + held.length, 0),
    lost: acks.filter(({ run }) => !ENDED.has(byId.get(run)?.state ?? '')).map(({ run }) => run),
    unexpected: unexpected(lines, runs),
    duplicated: [...groupedByRun(only(lines, 'settled'))].filter(([, told]) => told.length > 1).map(([run]) => run),
    stale: stale(lines, byId),
    disordered: [...begins].filter(([, one]) => !isGrowing(one.map(({ attempt }) => attempt))).map(([run]) => run),
    invented: invented(lines, runs),
    redone: redone(lines),
    slandered: runs
      .filter(({ id, reason }) => reason === 'poisoned' && hits(kills, id) < POISONED_AT)
      .map(({ id }) => id),
  }
}

/** Empty where the promise held. */
export function defects(verdict: Verdict): readonly string[] {
  const { acknowledged: _, recovered: __, repeats: begun, allowed, ...classes } = verdict
  const named = Object.entries(classes).flatMap(([name, found]) => found.map((one) => `${name} ${one}`))
  return begun > allowed ? [...named, `repeats ${begun} > ${allowed}`] : named
}

function repeats(begins: ReadonlyMap<string, readonly { readonly run: string }[]>, lines: readonly Line[]): number {
  const threw = groupedByRun(only(lines, 'threw'))
  let sum = 0
  for (const [run, one] of begins) sum += Math.max(0, one.length - 1 - (threw.get(run)?.length ?? 0))
  return sum
}

function unexpected(lines: readonly Line[], runs: readonly StoredRun[]): readonly string[] {
  const asked = new Set(only(lines, 'try').map(({ token }) => token))
  const known = new Set(runs.map(({ id }) => id))
  const tokens = new Set<string>()
  const found = only(lines, 'begin')
    .filter(({ run }) => !known.has(run))
    .map(({ run }) => run)
  // A child was asked for by its parent's code, not by a starter.
  for (const { id, token, parent } of runs) {
    if (parent !== null) continue
    if (token === undefined || !asked.has(token) || tokens.has(token)) found.push(id)
    else tokens.add(token)
  }
  return found
}

/** Every result carries the number of the attempt that made it. */
function stale(lines: readonly Line[], byId: ReadonlyMap<string, StoredRun>): readonly string[] {
  const found = [...byId.values()].filter(({ state, result, attempt }) => {
    return state === 'succeeded' && attemptOf(result) !== attempt
  })
  const told = only(lines, 'settled').filter(({ run, attempt }) => {
    const stored = byId.get(run)
    return stored !== undefined && stored.attempt !== attempt
  })
  return [...found.map(({ id }) => id), ...told.map(({ run }) => run)]
}

function attemptOf(result: string | null): number | undefined {
  const value = JSON.parse(result ?? 'null') as { attempt?: number } | null // made by a task of the fixtures
  return value?.attempt
}

function invented(lines: readonly Line[], runs: readonly StoredRun[]): readonly string[] {
  const ended = new Set(only(lines, 'end').map(({ run, attempt }) => `${run} ${attempt}`))
  return runs
    .filter(({ id, state, attempt }) => state === 'succeeded' && !ended.has(`${id} ${attempt}`))
    .map(({ id }) => id)
}

function redone(lines: readonly Line[]): readonly string[] {
  const done = new Set<string>()
  const again: string[] = []
  for (const line of lines) {
    if (line.what === 'step done') done.add(`${line.run} ${line.step}`)
    if (line.what === 'step' && done.has(`${line.run} ${line.step}`)) again.push(line.run)
  }
  return again
}

const hits = (kills: readonly { readonly held: readonly string[] }[], run: string): number =>
  kills.filter(({ held }) => held.includes(run)).length

const isGrowing = (numbers: readonly number[]): boolean =>
  numbers.every((number, index) => index === 0 || number > numbers[index - 1]!)

function groupedByRun<T extends { readonly run: string }>(lines: readonly T[]): ReadonlyMap<string, readonly T[]> {
  return Map.groupBy(lines, ({ run }) => run)
}

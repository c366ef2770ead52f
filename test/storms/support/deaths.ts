import { only, type Line } from './journal.ts'

export interface Recovery {
  /** From the death to the next beginning. */
  readonly took: number
  /** The part of it in which a working process was there. */
  readonly attended: number
}

/** How each run that a dead process held began elsewhere; a run whose next holder died as well counts from there. */
export function recoveries(lines: readonly Line[]): readonly Recovery[] {
  const kills = only(lines, 'killed')
  const begins = Map.groupBy(only(lines, 'begin'), ({ run }) => run)
  const lives = livesOf(lines)
  return kills.flatMap(({ at, held }) =>
    held.flatMap((run) => {
      const next = begins.get(run)?.find((begin) => begin.at > at)
      const heldAgain = kills.find((kill) => kill.at > at && kill.held.includes(run))
      if (next === undefined || (heldAgain !== undefined && heldAgain.at < next.at)) return []
      return [{ took: next.at - at, attended: attended(lives, { from: at, to: next.at }) }]
    }),
  )
}

interface Span {
  readonly from: number
  readonly to: number
}

/** Of each working process, from when it was ready to its death. */
function livesOf(lines: readonly Line[]): readonly Span[] {
  const deaths = new Map(only(lines, 'killed').map(({ victim, at }) => [victim, at]))
  return only(lines, 'ready')
    .filter(({ works }) => works)
    .map(({ pid, at }) => ({ from: at, to: deaths.get(pid) ?? Infinity }))
}

/** How long of that span at least one of them lived. */
function attended(lives: readonly Span[], { from, to }: Span): number {
  let sum = 0
  let until = from
  for (const life of lives.toSorted((a, b) => a.from - b.from)) {
    const [begin, end] = [Math.max(life.from, until), Math.min(life.to, to)]
    if (end <= begin) continue
    sum += end - begin
    until = end
  }
  return sum
}

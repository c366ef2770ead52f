import type { RunId } from '../../core/claim.ts'
import type { WriteOf } from '../store.ts'
import { sizeOf, type Kept } from './kept.ts'

/** Forgets ended runs, those that ended first before others: what is too old, then what is too much. Answers how many. */
export function prune(runs: Map<RunId, Kept>, { retention, limit }: WriteOf<'prune'>, now: number): number {
  const isOld = ({ run: { state, finishedAt } }: Kept): boolean =>
    state !== 'waiting' && state !== 'running' && (finishedAt ?? now) <= now - retention[state]
  const ended = [...runs.values()].filter(({ run }) => run.finishedAt !== null)
  ended.sort((a, b) => (a.run.finishedAt ?? 0) - (b.run.finishedAt ?? 0))
  const old = ended.filter(isOld).slice(0, limit)
  for (const { run } of old) runs.delete(run.id)
  if (retention.maxBytes === null) return old.length
  const bytes = [...runs.values()].reduce((sum, kept) => sum + sizeOf(kept), 0)
  const young = ended.filter((kept) => !isOld(kept)).slice(0, limit - old.length)
  return old.length + shrink(runs, young, bytes - retention.maxBytes)
}

function shrink(runs: Map<RunId, Kept>, ended: readonly Kept[], excess: number): number {
  let left = excess
  for (const [index, kept] of ended.entries()) {
    if (left <= 0) return index
    left -= sizeOf(kept)
    runs.delete(kept.run.id)
  }
  return ended.length
}

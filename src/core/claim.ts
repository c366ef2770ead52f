/** UUIDv7 of a run. */
export type RunId = string
/** 128 random bits, made at a process's start. */
export type InstanceId = string

/** The right to carry out one attempt of a run. Every write made for the attempt carries it. */
export interface Claim {
  readonly run: RunId
  readonly attempt: number
}

/** As logs and journals show it: `01a20591-…#2`. */
export const claimText = (claim: Claim): string => `${claim.run}#${claim.attempt}`

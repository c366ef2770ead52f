/** How an instance is set up; the rest are options of createOffstage. */
export interface Setup {
  /** The module of its tasks, in fixtures/. */
  readonly tasks: string
  readonly database: string
  readonly options: Readonly<Record<string, unknown>>
  /** It serves its runs over HTTP, on a port of its own. */
  readonly http: boolean
  /** The application listens to SIGTERM as well, and ends with 7 after its drain. */
  readonly listens: boolean
  /** Where replies of the store are lost or late: the application wraps SQLite's in one of its own. */
  readonly hindrance?: Hindrance
}

export interface Hindrance {
  /** Whose chances these are. */
  readonly name: string
  /** This share of the replies to claims, starts, ends and steps is lost, half of them before the commit. */
  readonly lost?: number
  /** The first reply of that kind that gives this instance runs is lost: to a claim, or to a start whose run was born claimed. */
  readonly losesGrant?: 'claim' | 'insert'
  /** The first reply to such a write comes once this file is there. */
  readonly late?: { readonly kind: 'rescue'; readonly gate: string }
}

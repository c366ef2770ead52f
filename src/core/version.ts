/** A task at a version, as an instance registered it. Where a run is performed is the claiming instance's word, whatever its row says. */
export interface Version {
  readonly task: string
  readonly version: number
  readonly thread: boolean
  /** Lower versions as well: the task says how their input becomes this one's. */
  readonly upcasts: boolean
}

/** Whether an instance that registered these performs such a run on a thread; undefined: it does not perform it. An exact version goes before upcasts. */
export function onThread(run: Omit<Version, 'upcasts'>, can: readonly Version[]): boolean | undefined {
  const ofTask = can.filter(({ task }) => run.task === task)
  const exact = ofTask.filter(({ version }) => run.version === version)
  const own = exact.length > 0 ? exact : ofTask.filter(({ version, upcasts }) => upcasts && run.version < version)
  return own.some(({ thread }) => thread === run.thread) ? run.thread : own[0]?.thread
}

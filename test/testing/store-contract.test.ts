import { memoryStore } from 'offstage/memory'
import { storeContract } from 'offstage/testing/store-contract'
import { expect, test } from 'vitest'
import { realClock } from '../../src/runtime/world.ts'
import type { NewRun, Question, Store, Write, WriteOf } from '../../src/stores/store.ts'

/** The reference, with one of its methods broken. */
const opening = (broken: Partial<Store>) => async () => {
  let now = 0
  const store: Store = Object.assign(
    memoryStore({ clock: { ...realClock, now: () => now, monotonic: () => now } }),
    broken,
  )
  return { store, clock: { now: () => now, pass: (ms: number) => void (now += ms) } } // the clock answers nothing
}

test('promises are sentences of their own', () => {
  const promises = storeContract({ open: opening({}) }).map(({ promise }) => promise)
  expect(promises.length).toBeGreaterThan(200)
  expect(new Set(promises).size).toBe(promises.length)
})

test('a store that forgets what it was told is found out', async () => {
  const checks = storeContract({ open: opening({ read: async () => undefined }) })
  const kept = await Promise.allSettled(checks.map(({ check }) => check()))
  expect(kept.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(checks.length / 2)
})

test('whatever becomes of a check, its store is closed', async () => {
  let [opened, closed] = [0, 0]
  const broken = opening({
    write: () => Promise.reject(new Error('no')),
    close: async () => void closed++, // it answers nothing
  })
  const open = async () => {
    opened++
    return broken()
  }
  for (const { check } of storeContract({ open })) await check().catch(() => {})
  expect(closed).toBeGreaterThanOrEqual(opened)
})

test('a skipped promise says why, and only what is promised can be skipped', () => {
  const skip = { promise: 'closing twice is closing once', because: 'it never closes' }
  const checks = storeContract({ open: opening({}), skips: [skip] })
  expect(checks.filter(({ skipped }) => skipped !== undefined)).toMatchObject([
    { promise: skip.promise, skipped: skip.because },
  ])
  expect(() => storeContract({ open: opening({}), skips: [{ ...skip, promise: 'closing' }] })).toThrow('"closing"')
})

interface Fault {
  readonly write?: (write: Write) => Write
  readonly question?: (question: Question) => Question
}

/** The reference, told something else than what it was told. */
const bent = (fault: Fault) => async () => {
  const { store, clock } = await opening({})()
  const [write, read] = [store.write.bind(store), store.read.bind(store)]
  const broken: Pick<Store, 'write' | 'read'> = {
    write: (batch) => write(batch.map((one) => fault.write?.(one) ?? one)),
    read: (question) => read((fault.question?.(question as Question) ?? question) as typeof question), // of the same kind
  }
  return { store: Object.assign(store, broken), clock }
}

const writes = <K extends Write['kind']>(kind: K, bend: (write: WriteOf<K>) => WriteOf<K>): Fault => ({
  write: (write) => (write.kind === kind ? (bend(write as unknown as WriteOf<K>) as unknown as Write) : write), // the union forgets which kind it is of
})
const inserts = (bend: (run: NewRun) => Partial<NewRun>): Fault =>
  writes('insert', (write) => ({ ...write, run: { ...write.run, ...bend(write.run) } }))
const parks = (bend: Partial<Extract<WriteOf<'settle'>['outcome'], { kind: 'parked' }>>): Fault =>
  writes('settle', (write) =>
    write.outcome.kind === 'parked' ? { ...write, outcome: { ...write.outcome, ...bend } } : write,
  )
const filters = (filter: object): Fault => ({
  question: (question) => ('filter' in question ? { ...question, filter } : question),
})

const FAULTS: readonly (readonly [string, Fault, string])[] = [
  [
    'forgets keys',
    inserts(() => ({ idempotency: null })),
    'starts with one key and one input are one run, and the later ones change nothing',
  ],
  [
    'does not compare inputs',
    inserts(({ idempotency }) => ({ idempotency: idempotency && { ...idempotency, fingerprint: '' } })),
    'a key with another input is refused, and nothing is added',
  ],
  [
    'keeps keys apart by nothing but their text',
    inserts(() => ({ owner: null })),
    'a key is of one task and one owner, and of no other text',
  ],
  ['forgets timeouts', inserts(() => ({ timeout: null })), 'a deadline passed: try 2 of 3'],
  [
    'remembers one sleep for all',
    parks({ name: 'sleep' }),
    'the moment is remembered as a step, and holds when the run parks at it again',
  ],
  [
    'does not listen for signals',
    parks({ signal: null }),
    'the run that waits for a signal is due as soon as it comes',
  ],
  [
    'loses statements',
    writes('settle', (write) => ({ ...write, tx: [] })),
    'a store without transactions refuses an end that needs one, and the run goes on',
  ],
  [
    'loses lines',
    writes('note', (write) => ({ ...write, notes: write.notes.filter(({ type }) => type !== 'log') })),
    'lines that were logged are kept with their attempt, in order, and take no number',
  ],
  [
    'takes every version over',
    writes('claim', (write) => ({ ...write, can: write.can.map((one) => ({ ...one, upcasts: true })) })),
    'a run of an older version is claimed by those whose version takes it over, and stays of that version',
  ],
  [
    'has place for every suspect',
    writes('claim', (write) => ({ ...write, places: { ...write.places, suspects: 9 } })),
    'no more runs with two crashes are claimed than there are places for them, and none is told as left',
  ],
  [
    'takes back all at once',
    writes('rescue', (write) => ({ ...write, limit: 100 })),
    'of many, the runs of the dead are taken first, then those out of time, then those that do not cancel',
  ],
  [
    'cancels for every word of an operator',
    writes('control', (write) => ({ ...write, verb: 'cancel' })),
    'a run that failed is run again from nothing but what it remembers',
  ],
  [
    'removes nothing',
    writes('control', (write) => (write.verb === 'remove' ? { ...write, verb: 'cancel' } : write)),
    'a run that is removed is gone with all that was kept of it',
  ],
  [
    'forgets all at once',
    writes('prune', (write) => ({ ...write, limit: 100 })),
    'no more are forgotten at once than asked for, those that ended first before others',
  ],
  [
    'takes all room',
    writes('prune', (write) => ({ ...write, retention: { ...write.retention, maxBytes: null } })),
    'where there is not room enough, those that ended first go until there is',
  ],
  [
    'does not go by age',
    writes('prune', (write) => ({ ...write, retention: { ...write.retention, failed: 0 } })),
    'an ended run is forgotten at its age, and each kind of end has its own',
  ],
  [
    'forgets who can what',
    writes('presence', (write) => ({ ...write, can: [] })),
    'what a living instance registered is performed, be it on a thread or not',
  ],
  ['lists everything', filters({}), 'of several things that a filter says, all must hold'],
  [
    'begins each page anew',
    { question: (question) => (question.kind === 'list' ? { ...question, before: null } : question) },
    'pages show each run once, whatever is added or goes meanwhile',
  ],
  [
    'is impatient',
    { question: (question) => (question.kind === 'unperformed' ? { ...question, for: -1 } : question) },
    'what nobody performs is told: task, version, and since when the oldest is due',
  ],
]

test.each(FAULTS)('a store that %s is found out', async (_, fault, promise) => {
  const found = (open: () => ReturnType<ReturnType<typeof bent>>) =>
    storeContract({ open })
      .find((check) => check.promise === promise)
      ?.check()
  await expect(found(bent({}))).resolves.toBe(undefined)
  await expect(found(bent(fault))).rejects.toThrow()
})

test('a store that goes on telling who listens no more is found out', async () => {
  const deaf = async () => {
    const { store, clock } = await opening({})()
    const listen = store.wakes.bind(store)
    const wakes: Store['wakes'] = (changed) => {
      listen(changed)
      return { [Symbol.dispose]: () => {} }
    }
    return { store: Object.assign(store, { wakes }), clock }
  }
  const promise = 'who listens no more is told nothing, and may say so twice'
  const check = storeContract({ open: deaf }).find((one) => one.promise === promise)?.check
  await expect(check?.()).rejects.toThrow()
})

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { InstanceRecord } from '../../src/core/liveness.ts'
import { realClock } from '../../src/runtime/world.ts'
import { Presence } from '../../src/stores/sqlite/liveness.ts'
import { fixture, tempFolder, type Fixture } from './sqlite-world.ts'

const folder = tempFolder()
let monotonic = 0
const clock = { ...realClock, monotonic: () => monotonic }
const begin = (id = freshId()) => new Presence(folder, realClock).begin(id)
const observer = new Presence(folder, clock)
let ids = 0
const freshId = () => (++ids).toString(16).padStart(32, '0')
const fileOf = ({ id }: InstanceRecord) => `${folder}/${id}.alive`
const recordOf = async ({ said }: Fixture) => JSON.parse(await said) as InstanceRecord // fixtures/instance.ts says it
const isDead = (record: InstanceRecord) => observer.dead([record]).length === 1

/** The kernel says when a signal has done its work. */
async function inState(pid: number, state: string): Promise<void> {
  while (!readFileSync(`/proc/${pid}/stat`, 'latin1').includes(`) ${state} `)) await new Promise(setImmediate)
}

test('a process that lives is not dead', async () => {
  const record = await recordOf(fixture('instance', [folder, freshId()]))
  expect(existsSync(fileOf(record))).toBe(true)
  expect(isDead(record)).toBe(false)
  expect(existsSync(fileOf(record))).toBe(true)
})

test('a process that was killed is dead, and what it left is removed', async () => {
  const instance = fixture('instance', [folder, freshId()])
  const record = await recordOf(instance)
  instance.child.kill('SIGKILL')
  await instance.ended
  expect(existsSync(fileOf(record))).toBe(true)
  expect(observer.dead([record])).toEqual([record.id])
  expect(existsSync(fileOf(record))).toBe(false)
  expect(isDead(record)).toBe(true)
})

test('a process that is stopped is not dead, however long', async () => {
  const instance = fixture('instance', [folder, freshId()])
  const record = await recordOf(instance)
  instance.child.kill('SIGSTOP')
  await inState(record.pid, 'T')
  expect(isDead(record)).toBe(false)
  instance.child.kill('SIGKILL')
  await instance.ended
  expect(isDead(record)).toBe(true)
})

test('a process that was killed and not waited for is dead', async () => {
  const parent = fixture('parent', [folder, freshId()])
  const record = await recordOf(parent)
  parent.child.kill('SIGSTOP')
  await inState(parent.child.pid!, 'T')
  process.kill(record.pid, 'SIGKILL')
  await inState(record.pid, 'Z')
  // Its other threads may hold its files a moment longer.
  while (!isDead(record)) await new Promise(setImmediate)
})

test('an instance that ended in order leaves nothing', async () => {
  const instance = fixture('instance', [folder, freshId()])
  const record = await recordOf(instance)
  instance.child.stdin!.write('end\n')
  await new Promise((resolve) => instance.child.stdout!.once('data', resolve))
  expect(existsSync(fileOf(record))).toBe(false)
  expect(isDead(record)).toBe(false) // its process lives
})

test('a process id that was given to another process proves nothing by itself', async () => {
  const record = await recordOf(fixture('instance', [folder, freshId()]))
  const reused = { ...record, began: '1' }
  expect(isDead(reused)).toBe(false) // the lock is held
  expect(isDead({ ...reused, id: freshId() })).toBe(true)
})

test('whoever is of another boot is dead', async () => {
  const record = await recordOf(fixture('instance', [folder, freshId()]))
  expect(isDead({ ...record, id: freshId(), boot: 'another' })).toBe(true)
})

test('where a process id means nothing, fifteen seconds without a beat and a free lock are the proof', () => {
  const silent: InstanceRecord = { ...begin(), id: freshId(), pid: 2 ** 22 + 1 }
  expect(isDead(silent)).toBe(true)
  for (const unknown of [{ boot: '' }, { began: '' }, { pidNamespace: '' }, { pidNamespace: 'pid:[1]' }]) {
    const record = { ...silent, ...unknown, id: freshId() }
    const what = Object.keys(unknown).join()
    expect(isDead(record), what).toBe(false)
    monotonic += 14_999
    expect(isDead(record), what).toBe(false)
    monotonic += 1
    expect(isDead(record), what).toBe(true)
  }
})

test('whoever beats is alive, and so is whoever holds his lock without a beat', async () => {
  let theirs = 0
  const other = new Presence(folder, { ...realClock, monotonic: () => theirs, now: () => 1_795_000_000_000 + theirs })
  const beating = { ...other.begin(freshId()), pidNamespace: 'pid:[1]' }
  const held = { ...(await recordOf(fixture('instance', [folder, freshId()]))), pidNamespace: 'pid:[1]' }
  for (let seconds = 0; seconds < 60; seconds += 5) {
    expect([isDead(beating), isDead(held)]).toEqual([false, false])
    monotonic += 5_000
    theirs += 5_000
    other.beat()
  }
  other.end()
  expect(isDead(beating)).toBe(false)
  monotonic += 15_000
  expect(isDead(beating)).toBe(true)
})

test('a presence that is damaged is a doubt, not a proof', () => {
  const gone: InstanceRecord = { ...begin(), id: freshId(), pid: 2 ** 22 + 1 }
  mkdirSync(fileOf(gone))
  expect(isDead(gone)).toBe(false)
  const other = { ...gone, id: freshId() }
  writeFileSync(fileOf(other), 'no lock file'.repeat(100))
  expect(isDead(other)).toBe(false)
})

test('an instance that begins anew gives its first life up, and ending twice is ending once', () => {
  const presence = new Presence(folder, realClock)
  const [first, second] = [presence.begin(freshId()), presence.begin(freshId())]
  expect([existsSync(fileOf(first)), existsSync(fileOf(second))]).toEqual([false, true])
  presence.end()
  presence.end()
  expect(existsSync(fileOf(second))).toBe(false)
})

test('a folder that is not there is told', () => {
  expect(() => new Presence(`${folder}/nowhere`, realClock).begin(freshId())).toThrow(
    expect.objectContaining({ code: 'OFFSTAGE_STORE_UNAVAILABLE' }),
  )
})

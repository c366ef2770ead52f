import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import { Presence } from '../../src/stores/sqlite/liveness.ts'

/** Time that moves when told; the beat needs no timers. */
class Hands implements Clock {
  time = 1_000_000
  readonly now = (): number => this.time
  readonly monotonic = (): number => this.time
  timer(): Disposable {
    throw new Error('no timer is wanted')
  }
  nextTurn(): void {
    throw new Error('no turn is wanted')
  }
}

let folder: string
let clock: Hands
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'offstage-beat-'))
  clock = new Hands()
})
afterEach(() => rmSync(folder, { recursive: true }))

/** As another container sees it: the process id means nothing there. */
const elsewhere = (record: ReturnType<Presence['begin']>) => ({ ...record, pidNamespace: 'pid:[1]' })

test('a process whose end cannot be asked of the kernel is dead when its lock is free and its beat stood still for 15 s', () => {
  const gone = new Presence(folder, clock)
  const record = elsewhere(gone.begin('gone'))
  // As a kill leaves it: the kernel drops the lock, the files stay.
  gone.end()
  const observer = new Presence(folder, clock)
  expect(observer.dead([record])).toEqual([])
  clock.time += 14_999
  expect(observer.dead([record])).toEqual([])
  clock.time += 1
  expect(observer.dead([record])).toEqual(['gone'])
})

test('a beat that goes on is no death, whatever became of the lock', () => {
  const alive = new Presence(folder, clock)
  const record = elsewhere(alive.begin('alive'))
  rmSync(join(folder, 'alive.alive'))
  const observer = new Presence(folder, clock)
  for (let round = 0; round < 12; round++) {
    alive.beat()
    expect(observer.dead([record])).toEqual([])
    clock.time += 5_000
  }
  alive.end()
})

test('a lock that is held is no death, however long the beat is silent', () => {
  const stopped = new Presence(folder, clock)
  const record = elsewhere(stopped.begin('stopped'))
  const observer = new Presence(folder, clock)
  expect(observer.dead([record])).toEqual([])
  clock.time += 3_600_000
  expect(observer.dead([record])).toEqual([])
  stopped.end()
  expect(observer.dead([record])).toEqual([])
  clock.time += 15_000
  expect(observer.dead([record])).toEqual(['stopped'])
})

test('an instance that ended while its process goes on, as that of a thread, is dead when its beat stood still for 15 s', () => {
  const ended = new Presence(folder, clock)
  const record = ended.begin('ended') // of this very process
  ended.end() // closes its lock, as the end of its thread does
  const observer = new Presence(folder, clock)
  expect(observer.dead([record])).toEqual([])
  clock.time += 14_999
  expect(observer.dead([record])).toEqual([])
  clock.time += 1
  expect(observer.dead([record])).toEqual(['ended'])
})

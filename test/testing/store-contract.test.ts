import { memoryStore } from 'offstage/memory'
import { storeContract } from 'offstage/testing/store-contract'
import { expect, test } from 'vitest'
import { realClock } from '../../src/runtime/world.ts'
import type { Store } from '../../src/stores/store.ts'

/** The reference, with one of its methods broken. */
const opening = (broken: Partial<Store>) => async () => {
  let now = 0
  const store: Store = Object.assign(memoryStore({ clock: { ...realClock, now: () => now } }), broken)
  return { store, clock: { now: () => now, pass: (ms: number) => void (now += ms) } } // the clock answers nothing
}

test('promises are sentences of their own', () => {
  const promises = storeContract({ open: opening({}) }).map(({ promise }) => promise)
  expect(promises.length).toBeGreaterThan(100)
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

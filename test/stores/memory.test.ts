import { memoryStore } from 'offstage/memory'
import { storeContract } from 'offstage/testing/store-contract'
import { describe, test } from 'vitest'
import { realClock } from '../../src/runtime/world.ts'

describe('the memory store keeps the contract', () => {
  const open = async () => {
    let now = 1_795_000_000_000
    const store = memoryStore({ clock: { ...realClock, now: () => now } })
    await store.open()
    return { store, clock: { now: () => now, pass: (ms: number) => void (now += ms) } } // the clock answers nothing
  }
  for (const { promise, check } of storeContract({ open })) test(promise, check)
})

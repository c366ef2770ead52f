import { AsyncLocalStorage } from 'node:async_hooks'
import { memoryStore } from 'offstage/memory'
import { storeContract } from 'offstage/testing/store-contract'
import { describe, expect, test } from 'vitest'
import { realClock } from '../../src/runtime/world.ts'
import type { Write } from '../../src/stores/store.ts'

describe('the memory store keeps the contract', () => {
  const open = async () => {
    let now = 1_795_000_000_000
    const store = memoryStore({ clock: { ...realClock, now: () => now, monotonic: () => now } })
    await store.open()
    return { store, clock: { now: () => now, pass: (ms: number) => void (now += ms) } } // the clock answers nothing
  }
  for (const { promise, check } of storeContract({ open })) test(promise, check)
})

describe('the memory store tells of changes', () => {
  const instance = { id: 'one', pid: 1, boot: '', began: '', pidNamespace: '' }
  const joins: Write = { kind: 'presence', instance, change: 'joins', can: [] }

  test('once for a batch, and after it', async () => {
    const store = memoryStore()
    const told: string[] = []
    using _ = store.wakes(() => told.push('changed'))
    const written = store.write([joins, joins])
    expect(told).toEqual([])
    await written
    expect(told).toEqual(['changed'])
  })

  test('and of nothing else: who is told claims and looks for the dead, and must not tell itself', async () => {
    const store = memoryStore()
    await store.write([joins])
    let told = 0
    using _ = store.wakes(() => told++)
    const claim = { run: 'none', attempt: 1 }
    await store.write([
      { kind: 'claim', instance: 'one', can: [], places: { all: 1, threads: 1, suspects: 1 } },
      { kind: 'rescue', dead: [], limit: 9 },
      { kind: 'prune', retention: { succeeded: 0, failed: 0, canceled: 0, maxBytes: 0 }, limit: 9 },
      { kind: 'settle', claim, outcome: { kind: 'released' } },
      { kind: 'control', run: 'none', verb: 'remove', reason: null },
      { kind: 'signal', run: 'none', name: 'paid', payload: '1' },
    ])
    await store.read({ kind: 'overdue' })
    expect(told).toBe(0)
  })

  test('in a context of nobody’s', async () => {
    const request = new AsyncLocalStorage<string>()
    const store = memoryStore()
    let found: string | undefined = 'not told'
    using _ = store.wakes(() => (found = request.getStore()))
    await request.run('a request', () => store.write([joins]))
    expect(found).toBe(undefined)
  })
})

import { beforeAll, describe, expect, test } from 'vitest'
import { child } from '../setup/child.ts'

interface Counted {
  readonly name: string
  readonly started: number
  readonly held: number
}
let counts: readonly Counted[] = []

beforeAll(async () => {
  const script = new URL('./fixtures/retains.ts', import.meta.url)
  const { said, stderr, code } = await child(script, { node: ['--expose-gc'] }).ended
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 })
  counts = said as readonly Counted[] // as the script prints them
})

const counted = (name: string): Counted => counts.find((count) => count.name === name)!
/** One or two may be on the stack still, as the collector sees it. */
const FEW = 5

describe('2,000 pending runs hold no request that started them,', () => {
  test.each([
    'in line',
    'delayed',
    'delayed, with a signal',
    'running',
    'to be tried again',
    'of after()',
    'durable and delayed',
  ])('%s', (name) => {
    const { started, held } = counted(name)
    expect(started).toBe(2_000)
    expect(held).toBeLessThan(FEW)
  })

  test('nor does the store hold the one that came first and opened it', () => {
    expect(counted('that opened the store')).toMatchObject({ started: 1, held: 0 })
  })
})

test.each(['canceled in line', 'ended and forgotten'])('nothing holds the inputs of runs that were %s', (name) => {
  const { started, held } = counted(name)
  expect(started).toBeGreaterThanOrEqual(500)
  expect(held).toBeLessThan(FEW)
})

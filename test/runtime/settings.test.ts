import { describe, expect, test } from 'vitest'
import { parseSettings } from '../../src/runtime/settings.ts'

const DAY = 86_400_000

describe('retention', () => {
  test.each([
    [undefined, { succeeded: DAY, failed: 14 * DAY, canceled: 14 * DAY, maxBytes: null }],
    [
      { failed: '1h', maxBytes: 1 },
      { succeeded: DAY, failed: 3_600_000, canceled: 14 * DAY, maxBytes: 1 },
    ],
    [
      { succeeded: 0, canceled: 5 },
      { succeeded: 0, failed: 14 * DAY, canceled: 5, maxBytes: null },
    ],
  ])('%j', (retention, expected) => {
    expect(parseSettings({ store: 'memory:', retention }).retention).toEqual(expected)
  })

  test.each([
    [{ succeeded: '24' }, 'retention.succeeded'],
    [{ failed: -1 }, 'retention.failed'],
    [{ maxBytes: 0 }, 'retention.maxBytes'],
    [{ maxBytes: '1 GiB' }, 'retention.maxBytes'],
    [{ waiting: '1h' }, 'retention.waiting'],
    ['24h', 'retention'],
  ])('refuses %j', (retention, at) => {
    expect(() => parseSettings({ store: 'memory:', retention })).toThrow(`\`${at}\``)
  })
})

test.each([['queues'], ['poll']])('worker.%s is not available', (key) => {
  expect(() => parseSettings({ store: 'memory:', worker: { [key]: {} } })).toThrow(`\`worker.${key}\` is not available`)
})

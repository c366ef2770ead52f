import { expect, test } from 'vitest'
import { tell } from './support/figures.ts'
import { Fleet } from './support/fleet.ts'
import { only } from './support/journal.ts'

const ONE = { memory: { concurrency: 1 }, threads: { size: 1 }, worker: { concurrency: 1 } }

test.each(['parent', 'parentOnThread', 'durableParent', 'durableParentOnThread'])(
  'F56: every bound is 1, a %s that awaits a child of its own kind ends, and afterwards every bound is 1 again',
  async (task) => {
    await using fleet = new Fleet()
    const instance = await fleet.start({ options: ONE })
    const begun = performance.now()
    // Two generations below it, several families at once.
    await Promise.all([2, 2, 2].map((children) => instance.ask('execute', task, { children })))
    tell(`F56 ${task}`, { 'three families of three': performance.now() - begun })
    const ends = only(fleet.lines(), 'end')
    expect(ends.length).toBe(9)
    const order = only(fleet.lines(), 'begin').length
    expect(order).toBe(9)
    const before = fleet.lines().length
    await Promise.all([1, 2, 3, 4].map(() => instance.ask('execute', task, { children: 0, ms: 50 })))
    const after = fleet.lines().slice(before)
    const turns = after.filter(({ what }) => what === 'begin' || what === 'end').map(({ what }) => what)
    expect(turns).toEqual(['begin', 'end', 'begin', 'end', 'begin', 'end', 'begin', 'end'])
  },
)

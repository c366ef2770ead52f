import { describe, expect, test } from 'vitest'
import { child, type Ended } from '../setup/child.ts'

const script = new URL('./fixtures/foreign.ts', import.meta.url)
const ended = (scenario: string): Promise<Ended> => child(script, { args: [scenario] }).ended

describe.concurrent('a failure that belongs to no run ends the process with 1, as Node would have it:', () => {
  test.each([
    ['a foreign rejection', []],
    ['a foreign exception', []],
    ['a foreign rejection after that of a run', [['stray', 'careless', 'Error: of the run']]],
    ['a foreign rejection after close', []],
    ['a foreign rejection after one of two was closed', [['stray', 'careless', 'Error: of the run']]],
    ['a rejection in a listener', [['stray', 'careless', 'Error: of the run']]],
  ])('%s', async (scenario, said) => {
    const end = await ended(scenario)
    expect(end).toMatchObject({ code: 1, said })
    expect(end.stderr).toContain('Error: of nobody')
    expect(end.stderr).toContain('foreign.ts') // its stack
  })

  test('a foreign rejection of no error', async () => {
    const end = await ended('a foreign rejection of no error')
    expect(end).toMatchObject({ code: 1, said: [] })
    expect(end.stderr).toContain('null')
  })
})

describe.concurrent('the process lives where', () => {
  test.each([
    ['a foreign rejection that the application listens to', [['heard', 'Error: of nobody']]],
    ['a foreign exception that the application listens to', [['heard', 'Error: of nobody']]],
    ['a foreign rejection, where the application listens to exceptions alone', [['heard', 'Error: of nobody']]],
    ["a run's rejection", [['stray', 'careless', 'Error: of the run']]],
    ['a rejection let go by a run that close() abandoned', [['stray', 'careless', 'Error: of the run']]],
  ])('%s', async (scenario, said) => {
    expect(await ended(scenario)).toMatchObject({ code: 0, said: [...said, ['lives']], stderr: '' })
  })
})

import { existsSync, readdirSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { CanceledError, FencedError, ShutdownError, TimeoutError, type OffstageError } from '../../src/core/errors.ts'
import { FakeClock } from '../setup/fake-clock.ts'
import { newGate, opened } from './gate.ts'
import { begun, stage } from './stage.ts'

/** Where Linux lists what the process has open. */
const FDS = '/proc/self/fd'

const crashed = (exit: number) =>
  expect.objectContaining({ code: 'OFFSTAGE_CRASHED', message: expect.stringContaining(`exit code ${exit}`) })

test.each([
  [new CanceledError('by its owner'), 'CanceledError'],
  [new TimeoutError('it took too long'), 'TimeoutError'],
  [new ShutdownError(), 'ShutdownError'],
  [new FencedError('run-1#7'), 'FencedError'],
])('ctx.signal fires on the thread with a %s', async (reason, is) => {
  const clock = new FakeClock()
  const { run } = await stage({ clock })
  const { hear, begun: heard } = begun()
  const ending = new AbortController()
  const end = run('heeds', { signal: ending.signal, hear })
  await heard
  ending.abort(reason)
  expect(await end).toEqual({ is: [is], message: reason.message })
  expect(clock.armed).toBe(0)
})

test.each([
  { name: 'spins', patience: 1_000, reason: new CanceledError() },
  { name: 'ignores', patience: 1_000, reason: new ShutdownError() },
  { name: 'blocks', patience: 1_000, reason: new FencedError('run-1#7') },
  // Others take the run 1 s after its timeout: before that the thread has to be gone, and the end recorded.
  { name: 'spins', patience: 600, reason: new TimeoutError('it took too long') },
])(
  'a run that $name and does not heed its $reason.name is ended with its thread $patience ms later, and only that run',
  async ({ name, patience, reason }) => {
    const clock = new FakeClock()
    const { run, executor } = await stage({ size: 2, clock })
    const { hear, begun: heard } = begun()
    const ending = new AbortController()
    const end = run(name, { input: newGate(), signal: ending.signal, hear })
    await heard
    const thread = await run('onWhich')
    const neighbour = run('waits', { input: 200 })
    const canceled = expect(end).rejects.toBe(reason)
    ending.abort(reason)
    await clock.advance(patience - 1)
    expect(clock.armed).toBe(1)
    await clock.advance(1)
    await canceled
    await neighbour
    const after = await Promise.all([run('onWhich'), run('onWhich')])
    expect(after).toContain(thread)
    await expect.poll(() => executor.free).toBe(2)
    expect(clock.armed).toBe(0)
  },
)

test('process.exit on a thread fails its run alone, and what waits goes on', async () => {
  const { run, executor, strays } = await stage({ size: 1 })
  const end = run('exits', { input: 3 })
  const waiting = run('echo', { input: 'waited' })
  await expect(end).rejects.toEqual(crashed(3))
  expect(await waiting).toBe('waited')
  expect(executor.free).toBe(1)
  expect(strays).toEqual([])
})

test('process.abort and a stack that overflows are errors of the run, and the thread lives', async () => {
  const { run } = await stage()
  const thread = await run('onWhich')
  await expect(run('aborts')).rejects.toThrow('process.abort() is not supported in workers')
  await expect(run('overflows')).rejects.toMatchObject({ name: 'RangeError' })
  expect(await run('onWhich')).toBe(thread)
})

test('what Node says of a death is its cause', async () => {
  const { run } = await stage()
  const error = await run('dies').catch((thrown: unknown) => thrown)
  expect(error).toEqual(crashed(1))
  expect(error).toMatchObject({ message: expect.stringContaining('nobody listens'), cause: { name: 'RangeError' } })
})

test('a message that cannot be read fails the run that would wait for it', async () => {
  const { run } = await stage()
  const refused = { code: 'OFFSTAGE_NOT_SERIALIZABLE', message: expect.stringContaining('unreadable') }
  await expect(run('cannotRead')).rejects.toMatchObject(refused)
  expect(await run('echo', { input: 1 })).toBe(1)
})

test.each([1, 50])(
  'code that ends its thread after its own end fails no run that waits (%d of them)',
  async (waiting) => {
    const { run } = await stage()
    const inputs = Array.from({ length: waiting }, (_, n) => n)
    for (let again = 0; again < 5; again++) {
      const order: unknown[] = []
      const ended = run('exitsLater')
      await Promise.all([ended, ...inputs.map(async (input) => order.push(await run('echo', { input })))])
      expect(order).toEqual(inputs)
    }
  },
)

test('a thread that ended while it was idle is given no run', async () => {
  const { run } = await stage()
  const gate = newGate()
  const [thread] = [await run('onWhich'), await run('exitsLater', { input: gate })]
  await opened(gate)
  // Until our side has heard of it; earlier, the run would be the one that waits again.
  await pause(200)
  expect(await run('onWhich')).not.toBe(thread)
})

test('threads that die before any run begins are no endless circle', async () => {
  const clock = new FakeClock()
  const { run } = await stage({ module: 'dies', clock })
  await expect(run('echo')).rejects.toEqual(crashed(5))
  const again = run('echo')
  expect(clock.armed).toBe(1)
  await clock.advance(100)
  await expect(again).rejects.toEqual(crashed(5))
})

test('fifty deaths leave nothing behind', async () => {
  const held = () => [process.getActiveResourcesInfo().length, existsSync(FDS) ? readdirSync(FDS).length : 0]
  const before = held()
  const { run, executor } = await stage({ size: 2 })
  const deaths = await Promise.allSettled(Array.from({ length: 50 }, () => run('exits', { input: 1 })))
  expect(deaths).toEqual(deaths.map(() => ({ status: 'rejected', reason: crashed(1) })))
  expect(await run('echo', { input: 'alive' })).toBe('alive')
  expect(executor.free).toBe(2)
  await executor.close()
  await expect.poll(held).toEqual(before)
}, 60_000)

test('a module that throws when it is imported fails what waits for it, and is tried again ever later', async () => {
  const clock = new FakeClock()
  const { run, executor } = await stage({ module: 'broken', clock })
  const broken = expect.objectContaining({
    code: 'OFFSTAGE_BAD_OPTION',
    message: expect.stringMatching(/broken\.ts could not be imported: this module does not load/),
    cause: expect.objectContaining({ message: 'this module does not load' }),
  })
  const refused = { status: 'rejected', reason: broken }
  expect(await Promise.allSettled([run('echo'), run('echo')])).toEqual([refused, refused])
  for (const rest of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]) {
    const end = Promise.allSettled([run('echo')])
    await clock.advance(rest - 1)
    expect(clock.armed).toBe(1)
    await clock.advance(1)
    expect(await end).toEqual([refused])
  }
  expect(executor.free).toBe(1)
  expect(clock.armed).toBe(0)
}, 60_000)

test('a start that succeeds begins the counting of failures anew', async () => {
  const clock = new FakeClock()
  const { run } = await stage({ module: 'broken', clock })
  const started = async (how: 'works' | 'breaks', after: number): Promise<void> => {
    process.env['OFFSTAGE_TEST_MODULE'] = how
    const end = run('exits').then(
      () => 'ended',
      (error: OffstageError) => error.code,
    )
    await clock.advance(after)
    expect(await end).toBe(how === 'works' ? 'OFFSTAGE_CRASHED' : 'OFFSTAGE_BAD_OPTION')
  }
  onTestFinished(() => void delete process.env['OFFSTAGE_TEST_MODULE'])
  await started('breaks', 0)
  await started('breaks', 100)
  await started('works', 200)
  await started('breaks', 0)
  await started('works', 100)
}, 20_000)

test('close ends every thread, and every run with it', async () => {
  const { run, executor } = await stage({ size: 1 })
  const { hear, begun: heard } = begun()
  const ends = Promise.allSettled([run('spins', { hear }), run('echo')])
  await heard
  await executor.close()
  expect(await ends).toEqual([
    { status: 'rejected', reason: expect.any(ShutdownError) },
    { status: 'rejected', reason: expect.any(ShutdownError) },
  ])
  await executor.close()
  await expect(run('echo')).rejects.toThrow(ShutdownError)
  expect(executor.free).toBe(0)
})

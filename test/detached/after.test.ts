import { createServer, get, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { EventEmitter } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { turns } from '../setup/fake-clock.ts'
import { failure, gate, stage } from '../setup/stage.ts'

test('after() begins in a later turn, and its handle tells how it ended', async () => {
  const { offstage } = stage()
  const order: string[] = []
  const handle = offstage.after(() => void order.push('after'))
  order.push('went on')
  await handle.result()
  expect(order).toEqual(['went on', 'after'])
  expect(await handle.status()).toMatchObject({ state: 'succeeded', durable: false })
})

test('what it throws is reported with its name, and reaches nobody else', async () => {
  const { offstage, lines, seen } = stage()
  offstage.after(function sendMail() {
    throw new Error('no server')
  })
  await seen('run:failed')
  expect(lines.map(({ level, message }) => [level, message])).toEqual([['error', 'The task "sendMail" failed.']])
})

test.each([
  { by: 'the name that was given', options: { name: 'audit' }, fn: () => {}, name: 'audit' },
  {
    by: "the function's own",
    options: {},
    fn: Object.defineProperty(() => {}, 'name', { value: 'warm cache?' }),
    name: 'warm-cache-',
  },
  { by: "'after' for a function without one", options: {}, fn: (() => () => {})(), name: 'after' },
])('reports call it by $by', ({ options, fn, name }) => {
  const { offstage } = stage()
  expect(offstage.after(fn, options).task).toBe(name)
})

test.each([
  { what: 'what is no function', fn: 5, options: {}, at: 'after(fn)' },
  { what: 'a name that is no task name', fn: () => {}, options: { name: '' }, at: 'after.options.name' },
  { what: 'what is no response', fn: () => {}, options: { response: {} }, at: 'after.options.response' },
  { what: 'an unknown option', fn: () => {}, options: { respons: {} }, at: 'after.options.respons' },
])('$what is refused at once', ({ fn, options, at }) => {
  const { offstage } = stage()
  expect(() => offstage.after(fn as never, options as never)).toThrow(
    expect.objectContaining({
      code: 'OFFSTAGE_BAD_OPTION',
      message: expect.stringContaining(`\`${at}\``) as string,
    }) as Error,
  )
})

describe('with a response', () => {
  /** A server that gives each response to `handle`; closed after the test. */
  async function serve(handle: (response: ServerResponse) => void): Promise<number> {
    const server = createServer((_, response) => handle(response))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }

  test('it begins once the response has been sent, and not before', async () => {
    const { offstage, seen } = stage()
    const written = gate()
    const order: string[] = []
    const port = await serve((response) => {
      offstage.after(() => void order.push('after'), { response, name: 'audit' })
      response.write('first part\n')
      void written.opened.then(() => {
        order.push('sent')
        response.end('rest')
      })
    })
    const answer = Promise.withResolvers<string>()
    get({ port, host: '127.0.0.1' }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
        if (text === 'first part\n') void turns().then(written.open)
      })
      response.on('end', () => answer.resolve(text))
    })
    await seen('run:succeeded')
    expect(order).toEqual(['sent', 'after'])
    expect(await answer.promise).toBe('first part\nrest')
  })

  test('it begins when the connection is gone before the response was sent', async () => {
    const { offstage, seen } = stage()
    const port = await serve((response) => {
      offstage.after(() => {}, { response })
      response.write('never ended')
    })
    const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'))
    socket.once('data', () => socket.destroy())
    await seen('run:succeeded')
  })

  test('it begins soon where the response was sent, or its connection was gone, before it was asked', async () => {
    const { offstage } = stage()
    const asked: string[] = []
    const once = (event: string) => void asked.push(event)
    for (const state of [
      { writableFinished: true, destroyed: false },
      { writableFinished: false, destroyed: true },
    ])
      await offstage.after(() => {}, { response: { ...state, once } as never }).result()
    expect(asked).toEqual([])
  })

  test('it begins once, though a response finishes and closes', async () => {
    const { offstage } = stage()
    const response = Object.assign(new EventEmitter(), { writableFinished: false, destroyed: false })
    let times = 0
    const handle = offstage.after(() => void times++, { response: response as never })
    response.emit('finish')
    response.emit('close')
    await handle.result()
    await turns()
    expect(times).toBe(1)
  })

  test('canceled before that, it never begins', async () => {
    const { offstage } = stage()
    const response = Object.assign(new EventEmitter(), { writableFinished: false, destroyed: false })
    let times = 0
    const handle = offstage.after(() => void times++, { response: response as never })
    expect(await handle.cancel()).toBe('canceled')
    response.emit('finish')
    await turns()
    expect(await failure(handle.result())).toMatchObject({ code: 'OFFSTAGE_CANCELED' })
    expect(times).toBe(0)
  })
})

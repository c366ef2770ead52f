import { deepEqual, equal } from 'node:assert/strict'
import { decode, encode } from '../../core/payload.ts'
import { failed, succeeded } from '../../core/outcome.ts'
import type { StorePromise } from './promise.ts'

const LIMIT = { bytes: 10_000_000, depth: 100 }

const VALUES: Readonly<Record<string, unknown>> = {
  'a NUL': 'a\0b',
  'lone surrogates': ['\ud800', '\udc00x', 'x\ud83d'],
  'what a line of JavaScript cannot hold': '\u2028\u2029\u0085',
  'minus zero': [-0, 0],
  'a key that is a prototype elsewhere': JSON.parse('{"__proto__":{"a":1},"constructor":null}'),
  'texts beyond the first plane': '𝄞 e\u0301 é 漢 👩‍👩‍👧',
  'nothing at all': ['', {}, [], null],
  'numbers at their limits': [Number.MAX_SAFE_INTEGER, 5e-324, 1.7976931348623157e308, 0.1 + 0.2],
  'quotes and escapes': `'"\\\n\r\t\u0001$1 ?1 %s`,
  'a million characters': 'ä'.repeat(1_000_000),
}

const returned = (what: string, value: unknown): StorePromise => ({
  promise: `a payload comes back as it was, to the byte: ${what}`,
  keep: async (world) => {
    const text = encode(value, 'the payload', LIMIT)
    const instance = await world.join()
    const run = await world.insert({ input: text })
    const { claimed } = await world.claim(instance)
    equal(claimed[0]?.input, text)
    deepEqual(decode(claimed[0]?.input ?? null), value)
    const claim = { run, attempt: 1 }
    await world.does({ kind: 'record', claim, step: { name: 'a', result: text } })
    equal((await world.store.read({ kind: 'steps', run }))[0]?.result, text)
    await world.note(claim, { type: 'output', data: text ?? 'null' })
    deepEqual((await world.events(run)).events[0]?.data, value)
    await world.settle(claim, succeeded(text))
    equal((await world.find(run)).result, text)
  },
})

export const payloads: readonly StorePromise[] = [
  ...Object.entries(VALUES).map(([what, value]) => returned(what, value)),
  {
    promise: 'names, owners, tags, messages and errors come back as they were',
    keep: async (world) => {
      const text = 'a\0b\'"\u2028é👩‍👩‍👧'
      const { claim } = await world.running({ owner: text, queue: text, tags: [text, '\ud800', ''] })
      await world.note(claim, { type: 'progress', data: { done: 1, message: '\ud800\0' } })
      await world.does({ kind: 'record', claim, step: { name: text, result: '1' } })
      const error = {
        name: text,
        message: '\ud800\0',
        code: text,
        stack: text,
        cause: { name: 'E', message: text },
        expose: true,
      } as const
      await world.settle(claim, failed('error', error))
      const run = await world.find(claim.run)
      deepEqual([run.owner, run.queue, run.tags, run.error], [text, text, [text, '\ud800', ''], error])
      deepEqual(run.progress, { done: 1, message: '\ud800\0' })
      equal((await world.store.read({ kind: 'steps', run: claim.run }))[0]?.name, text)
    },
  },
]

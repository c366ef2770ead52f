// everything here must compile
import {
  task,
  schedule,
  createOffstage,
  type Offstage,
  type StandardSchemaV1,
  type AnyTask,
  type Task,
  type Json,
} from 'offstage'
declare const offstage: Offstage
declare function schema<A, B>(): StandardSchemaV1<A, B>
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <T extends true>(): T => true as T
export const a = task({
  name: 'a',
  durable: true,
  run: async ({ rows }: { rows: number }, ctx) => {
    const n = await ctx.step('x', ({ idempotencyKey }) => idempotencyKey.length)
    is<Equal<typeof n, number>>()
    return { rows }
  },
})
is<Equal<typeof a, Task<{ rows: number }, { rows: number }>>>()
export const aAfter = task({
  name: 'a',
  run: async ({ rows }: { rows: number }, ctx) => {
    await ctx.step('x', () => 1)
    return { rows }
  },
  durable: true,
})
export const b = task({
  name: 'b',
  run: async ({ rows }: { rows: number }, ctx) => {
    ctx.progress(1)
    return { rows }
  },
})
is<Equal<typeof b, Task<{ rows: number }, { rows: number }>>>()
const ra: { rows: number } = await (await offstage.start(a, { rows: 1 })).result()
void ra
interface In {
  id: string
  tags: string[]
  note?: string
}
interface Out {
  ok: boolean
}
export const c = task({
  name: 'c',
  durable: true,
  run: async (input: In, ctx): Promise<Out> => {
    const s = await ctx.step('s', async (): Promise<Out> => ({ ok: true }))
    is<Equal<typeof s, Out>>()
    return { ok: input.id !== '' }
  },
})
is<Equal<typeof c, Task<In, Out>>>()
export const f = task({ name: 'f', durable: true, run: () => {} })
is<Equal<typeof f, Task<void, void>>>()
export const f2 = task({
  name: 'f2',
  durable: true,
  run: async (_, ctx) => {
    await ctx.sleep('s', '1s')
  },
})
is<Equal<typeof f2, Task<void, void>>>()
void offstage.start(f)
void offstage.start(f, undefined, { delay: '3s' })
void offstage.start(a, { rows: 1 }, { priority: 3 })
void offstage.startMany(a, [{ rows: 1 }])
void offstage.startSync(a, { rows: 1 }, { tx: {} })
export const g = task({ name: 'g', input: schema<{ n?: string }, { n: number }>(), run: (input) => input.n })
is<Equal<typeof g, Task<{ n?: string }, number>>>()
void offstage.start(g, {})
export const g3 = task({
  name: 'g3',
  durable: true,
  input: schema<{ at: string }, { at: string }>(),
  run: async (input, ctx) => {
    void ctx.step
    return input.at
  },
})
is<Equal<typeof g3, Task<{ at: string }, string>>>()
export const i = task({
  name: 'i',
  run: async (input: { tenant: string }, ctx) => {
    ctx.progress(1)
    return input.tenant
  },
  concurrency: { limit: 1, key: (input) => input.tenant },
})
export const i2 = task({
  name: 'i2',
  concurrency: { limit: 1, key: (input: { tenant: string; x: number }) => input.tenant },
  run: async (input: { tenant: string; x: number }, ctx) => {
    ctx.progress(1)
    return input.x
  },
})
export const i3 = task({
  name: 'i3',
  input: schema<{ tenant: string }, { tenant: string }>(),
  concurrency: { limit: 1, key: (input) => input.tenant },
  run: async (input, ctx) => {
    ctx.progress(1)
    return input.tenant
  },
})
export const j = task({
  name: 'j',
  run: (o: Out, ctx) => {
    ctx.emit(o)
    ctx.emit('x')
    ctx.emit([1, { a: null }])
  },
})
export const k = task({
  name: 'k',
  durable: Math.random() > 0.5,
  run: (n: number, ctx) => {
    ctx.progress(0)
    return n
  },
})
export const list: readonly AnyTask[] = [a, b, c, f, g, i]
void createOffstage({
  tasks: [
    a,
    b,
    c,
    f,
    g,
    schedule({ name: 's', cron: '0 3 * * *', task: f }),
    schedule({ name: 's', cron: '0 3 * * *', task: a, input: (due) => ({ rows: due.getTime() }) }),
  ],
})
void createOffstage({ tasks: { a, b, other: 1 } })
void createOffstage({ tasks: import.meta.resolve('./tasks.ts') })
export const m = task({ name: 'm', thread: true, run: (when: Date) => when })
const md: Date = await offstage.execute(m, new Date())
void md
interface Tree {
  name: string
  children: Tree[]
}
export const tree = task({ name: 'tree', durable: true, run: (t: Tree) => t })
is<Equal<typeof tree, Task<Tree, Tree>>>()
export const js = task({ name: 'js', durable: true, run: (t: Json) => t })
export const report: Task<{ rows: number }, { rows: number }> = task({
  name: 'report',
  durable: true,
  run: async ({ rows }: { rows: number }, ctx) => {
    await ctx.sleep('x', '1s')
    return { rows }
  },
})
const hr = await offstage.handle(a, 'id').result()
is<Equal<typeof hr, { rows: number }>>()
for await (const e of offstage.handle(a, 'id').events()) {
  if (e.type === 'done') {
    const r: { rows: number } | undefined = e.data.result
    void r
  }
}
export const opt = task({ name: 'opt', durable: true, run: (x: string | undefined) => x ?? '' })
void offstage.start(opt)
void offstage.start(opt, 'x')
export const parent = task({
  name: 'parent',
  durable: true,
  run: async (_: void, ctx) => {
    const child = await ctx.start(a, { rows: 1 })
    const r = await child.result()
    const s = await ctx.waitFor('ok', { schema: schema<unknown, { by: string }>() })
    const u = await ctx.waitFor('any')
    is<Equal<typeof u, Json>>()
    return r.rows + s.by.length
  },
})
enum Color {
  Red = 'red',
}
export const en = task({ name: 'en', durable: true, run: (x: { c: Color; id: string & { __brand: 'id' } }) => x.c })
export const tup = task({ name: 'tup', durable: true, run: (x: readonly [string, number]) => x })
is<Equal<typeof tup, Task<readonly [string, number], readonly [string, number]>>>()
void offstage.accept(new Request('http://x'), a, { input: async () => ({ rows: 1 }) })
void offstage.accept(new Request('http://x'), f)
offstage.on('run:failed', (event) => {
  void event.error
})
export const mail = task({ name: 'mail', run: (to: string) => Promise.resolve(to) })
export const un3 = task({
  name: 'x',
  durable: true,
  run: async (_: void, ctx) => {
    const r = await ctx.step(
      'f',
      async ({ signal }) => (await fetch('http://x', { signal })).json() as Promise<{ a: number }>,
    )
    return r.a
  },
})
void offstage.signal('id', 'ok', { by: 'me' })
class Dto {
  id = 1
}
export const dto = task({ name: 'dto', durable: true, run: (x: Dto) => x.id }) // a class with data alone cannot be told from an interface: run time refuses its instances

// every marked line must fail
import { task, schedule, type Offstage, type StandardSchemaV1 } from 'offstage'
declare const offstage: Offstage
declare function schema<A, B>(): StandardSchemaV1<A, B>
const a = task({ name: 'a', durable: true, run: async ({ rows }: { rows: number }) => ({ rows }) })
const f = task({ name: 'f', durable: true, run: () => {} })
interface Out {
  ok: boolean
}
class Model {
  id = 1
  save(): void {}
}
task({
  name: 'd1',
  durable: true,
  run: async (input: { when: Date }) => {
    void input
  },
})
task({
  name: 'd2',
  durable: true,
  run: async (input: Map<string, number>) => {
    void input
  },
})
task({
  name: 'd3',
  durable: true,
  run: async (input: { cb: () => void }) => {
    void input
  },
})
task({
  name: 'd4',
  durable: true,
  run: async (input: Model) => {
    void input
  },
})
task({ name: 'd5', durable: true, run: async () => new Date() })
task({
  name: 'd6',
  durable: true,
  run: async (input: { n: bigint }) => {
    void input
  },
})
task({
  name: 'd7',
  durable: true,
  run: async (input: { deep: { er: { at: Date } }[] }, ctx) => {
    void input
    void ctx
  },
})
task({
  name: 'e1',
  run: async (_: void, ctx) => {
    await ctx.step('x', () => 1)
  },
})
task({
  name: 'e2',
  durable: false,
  run: async (_: void, ctx) => {
    await ctx.step('x', () => 1)
  },
})
task({
  name: 'e3',
  durable: true,
  run: async (_: void, ctx) => {
    await ctx.step('x', () => new Date())
  },
})
task({
  name: 'e4',
  durable: true,
  run: async (_: void, ctx) => {
    await ctx.step('x', async (s) => ({ at: new Date(), s }))
  },
})
task({
  name: 'g2',
  durable: true,
  input: schema<{ at: string }, { at: Date }>(),
  run: (input) => {
    void input
  },
})
task({
  name: 'g4',
  input: schema<{ at: string }, { at: string }>(),
  run: (input: { at: string; more: number }) => input.more,
})
task({
  name: 'j2',
  run: (o: Date, ctx) => {
    ctx.emit(o)
  },
})
task({
  name: 'k2',
  durable: Math.random() > 0.5,
  run: (n: Date) => {
    void n
  },
})
task({
  name: 'u1',
  durable: true,
  run: (x: Record<string, unknown>) => {
    void x
  },
})
task({
  name: 'u2',
  durable: true,
  run: (x: unknown) => {
    void x
  },
})
void offstage.start(f, 'anything')
void offstage.start(a, {})
void offstage.start(a, { rows: 'x' })
void offstage.start(a)
void offstage.start(a, { rows: 1, more: 2 })
void offstage.startMany(a, [{ rows: 'x' }])
void offstage.startSync(a, {}, { tx: {} })
void offstage.accept(new Request('http://x'), a, { input: { rows: 'x' } })
schedule({ name: 's', cron: '0 3 * * *', task: a })
const wrong: string = await offstage.execute(a, { rows: 1 })
void wrong
void ({} as Out)

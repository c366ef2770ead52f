import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { Connection } from '../../src/stores/sqlite/connection.ts'
import { layOut } from '../../src/stores/sqlite/files.ts'
import { fixture, tempFolder } from './sqlite-world.ts'

const folder = tempFolder()
const MANY = 6
const LASTS = 4_000

test(
  'of several that all want the write lock, and hold it as on a slow disk, each has it in turn',
  { timeout: 60_000 },
  async () => {
    const path = `${folder}/turns.db`
    layOut(path)
    new Connection({ path, readOnly: false }).close()
    using database = new DatabaseSync(path)
    database.exec('create table turns (taken integer); insert into turns values (0)')
    const takers = Array.from({ length: MANY }, () => fixture('taker', [path, String(LASTS)]))
    const lines = takers.map(({ child }) => createInterface({ input: child.stdout! })[Symbol.asyncIterator]())
    const said = (): Promise<string[]> => Promise.all(lines.map(async (line) => String((await line.next()).value)))
    expect(await said()).toEqual(takers.map(() => 'ready'))
    for (const { child } of takers) child.stdin!.write('go\n')
    const turns = (await said()).map(
      (line) => JSON.parse(line) as { readonly taken: number; readonly longest: number | null },
    )
    console.log(
      `taken, and waited at the most: ${turns.map(({ taken, longest }) => `${taken}, ${Math.round(longest ?? Infinity)} ms`).join('; ')}`,
    )
    const all = turns.reduce((sum, { taken }) => sum + taken, 0)
    expect(database.prepare('select taken from turns').get()).toEqual({ taken: all })
    for (const { taken } of turns) expect(taken).toBeGreaterThanOrEqual(all / MANY / 3)
  },
)

import { writeFileSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import { layOut } from '../../src/stores/sqlite/files.ts'
import { tempFolder } from './sqlite-world.ts'

const folder = tempFolder()
/** Called after each look at whether a file is there. */
const world = vi.hoisted(() => ({ looked: (_path: string): void => {} }))
vi.mock(import('node:fs'), async (original) => {
  const fs = await original()
  const existsSync = (path: string): boolean => {
    const found = fs.existsSync(path)
    world.looked(path)
    return found
  }
  return { ...fs, existsSync: existsSync as typeof fs.existsSync }
})

test('a store that another process creates between two looks is that one’s, and no loss', () => {
  const path = `${folder}/raced.db`
  world.looked = () => {
    world.looked = () => {}
    for (const file of [path, `${path}-wal`]) writeFileSync(file, 'of another')
  }
  expect(() => layOut(path)).not.toThrow()
})

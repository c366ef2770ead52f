import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryStore } from 'offstage/memory'
import { sqliteStore } from 'offstage/sqlite'
import { afterAll } from 'vitest'
import type { Store } from '../../src/stores/store.ts'

/** What two instances share: each call opens a store of its own over the same runs. */
export type Place = () => Store

/** For `describe.each`: every store, and a place of each test's own. */
export const STORES: readonly (readonly [name: string, place: () => Place])[] = [
  ['memory', inMemory],
  ['sqlite', inFile],
]

function inMemory(): Place {
  const store = memoryStore()
  return () => store
}

let folder: string | undefined
let files = 0

function inFile(): Place {
  if (folder === undefined) throw new Error('call useFiles() first')
  const path = join(folder, `${++files}.db`)
  return () => sqliteStore({ path })
}

/** Once in a file of tests that uses the stores: a folder for theirs, gone afterwards. */
export function useFiles(): void {
  folder = mkdtempSync(join(tmpdir(), 'offstage-stores-'))
  afterAll(() => rmSync(folder!, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }))
}

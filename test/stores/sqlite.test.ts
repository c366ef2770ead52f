import { storeContract } from 'offstage/testing/store-contract'
import { describe, test } from 'vitest'
import { openedIn, tempFolder } from './sqlite-world.ts'

describe('the SQLite store keeps the contract', () => {
  const folder = tempFolder()
  let count = 0
  const open = async () => openedIn(`${folder}/${++count}.db`)
  for (const { promise, check } of storeContract({ open })) test(promise, check)
})

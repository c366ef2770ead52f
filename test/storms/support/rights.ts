import { existsSync } from 'node:fs'
import { test } from 'vitest'
import { FULL } from './chance.ts'

/** Who stands still is seen in /proc. */
const hasProc = existsSync('/proc/self/task')

/** A test that stops processes and looks at them. Where the machine does not let it, it is skipped and counted; at full length it must not be. */
export const storm: typeof test = (hasProc || FULL ? test : test.skip) as typeof test // the same shape

import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { sources } from './test/setup/sources-by-name.mjs'

const STORMS = 'test/storms/**/*.test.ts'

export default defineConfig({
  resolve: {
    alias: [...sources].map(([name, url]) => ({ find: new RegExp(`^${name}$`), replacement: fileURLToPath(url) })),
  },
  test: {
    globalSetup: ['test/setup/build-once.ts'],
    reporters: ['default', './test/setup/totals-reporter.ts'],
    // Processes, not threads: the tests start threads of their own and end processes.
    pool: 'forks',
    execArgv: ['--import', new URL('test/setup/sources-by-name.mjs', import.meta.url).href],
    testTimeout: 10_000,
    hookTimeout: 20_000,
    teardownTimeout: 5_000,
    projects: [
      {
        extends: true,
        // Two, so that timings mean something on two cores.
        test: {
          name: 'tests',
          include: ['test/**/*.test.ts'],
          exclude: [STORMS],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        // After all others and one after another: each starts several processes, and measures them.
        test: {
          name: 'storms',
          include: [STORMS],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
          testTimeout: process.env['OFFSTAGE_STORMS'] === 'full' ? 900_000 : 180_000,
        },
      },
    ],
  },
})

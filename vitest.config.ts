import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { sources } from './test/setup/sources-by-name.mjs'

export default defineConfig({
  resolve: {
    alias: [...sources].map(([name, url]) => ({ find: new RegExp(`^${name}$`), replacement: fileURLToPath(url) })),
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/setup/build-once.ts'],
    reporters: ['default', './test/setup/totals-reporter.ts'],
    // Processes, not threads: the tests start threads of their own and end processes. Two, so that timings mean
    // something on two cores.
    pool: 'forks',
    maxWorkers: 2,
    execArgv: ['--import', new URL('test/setup/sources-by-name.mjs', import.meta.url).href],
    testTimeout: 10_000,
    hookTimeout: 20_000,
    teardownTimeout: 5_000,
  },
})

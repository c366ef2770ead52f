import type { Reporter, SerializedError, TestModule } from 'vitest/node'

/** Prints `N passed, N failed` as the very last line: what went wrong outside a test counts as failed too. */
export default class TotalsReporter implements Reporter {
  #passed = 0
  #failed = 0
  #skipped = 0

  // At the exit, since vitest still prints after the last test; and then the exit code is known.
  onInit(): void {
    process.once('exit', (code) => {
      if (code !== 0 && this.#failed === 0) this.#failed = 1
      const skipped = this.#skipped > 0 ? `, ${this.#skipped} skipped` : ''
      process.stdout.write(`\n${this.#passed} passed, ${this.#failed} failed${skipped}\n`)
    })
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    this.#passed = 0
    this.#skipped = 0
    this.#failed = unhandled.length
    for (const module of modules) this.#count(module)
  }

  #count(module: TestModule): void {
    this.#failed += module.errors().length
    for (const suite of module.children.allSuites()) this.#failed += suite.errors().length
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      if (state === 'passed') this.#passed++
      else if (state === 'skipped') this.#skipped++
      else this.#failed++ // failed, or still pending: it never came to its end
    }
  }
}

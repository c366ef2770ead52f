import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { root, type Block } from './markdown.ts'

/** The port of the pages; each terminal has one of its own instead. */
const PORT = /\b3000\b/g
/** For a command to end, a server to listen, a line to be printed. */
const PATIENCE = 20_000
const ID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/

/** A folder in which a reader of a page has put its files and types its commands. */
export class Terminal implements AsyncDisposable {
  readonly folder: string
  readonly #port: string
  /** What its servers printed, all of them. */
  printed = ''
  /** The page's run ids, and those that they are here. */
  readonly #ids = new Map<string, string>()
  #server: ChildProcess | undefined

  static async open(files: ReadonlyMap<string, string>): Promise<Terminal> {
    const probe = createServer().listen(0)
    await once(probe, 'listening')
    const { port } = probe.address() as AddressInfo
    probe.close()
    return new Terminal(files, String(port))
  }

  private constructor(files: ReadonlyMap<string, string>, port: string) {
    this.folder = mkdtempSync(join(tmpdir(), 'offstage-docs-'))
    this.#port = port
    mkdirSync(join(this.folder, 'node_modules'))
    symlinkSync(root, join(this.folder, 'node_modules/offstage'), 'dir')
    this.write('package.json', '{ "type": "module", "private": true }')
    for (const [file, text] of files) this.write(file, text)
  }

  write(file: string, text: string): void {
    mkdirSync(dirname(join(this.folder, file)), { recursive: true })
    writeFileSync(join(this.folder, file), text.replaceAll(PORT, this.#port))
  }

  /** Types each command of a block; answers a sentence for each that does not show what the page shows. */
  async type({ text }: Block): Promise<readonly string[]> {
    const found: string[] = []
    for (const part of text.split(/^\$ /m).filter(Boolean)) {
      const [command = '', ...expected] = part.split('\n')
      const shown = await this.command(command)
      const missing = this.#missing(shown, expected)
      if (missing !== undefined) found.push(`$ ${command}\ndoes not show ${missing}, but\n${shown}\n${this.printed}`)
    }
    return found
  }

  async command(command: string): Promise<string> {
    const [, file] = /^node (\S+) &$/.exec(command) ?? []
    if (file !== undefined) return this.start(file)
    const [, kill, nine] = /^(kill)( -9)? \$!$/.exec(command) ?? []
    if (kill !== undefined) return this.kill(nine === undefined ? 'SIGTERM' : 'SIGKILL')
    return shell(this.#here(command), this.folder)
  }

  async start(file: string): Promise<string> {
    this.#server = spawn(process.execPath, [file], { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#server.stdout, this.#server.stderr])
      stream?.on('data', (chunk) => (this.printed += String(chunk)))
    const until = performance.now() + PATIENCE
    while (!(await isOpen(Number(this.#port)))) {
      if (this.#server.exitCode !== null || performance.now() > until)
        throw new Error(`${file} does not listen:\n${this.printed}`)
      await sleep(20)
    }
    return ''
  }

  async kill(signal: NodeJS.Signals): Promise<string> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return ''
    server.kill(signal)
    await once(server, 'close')
    return ''
  }

  /** Waits until the servers have printed these lines, in this order, others between them. */
  async prints({ text }: Block): Promise<string | undefined> {
    const until = performance.now() + PATIENCE
    for (;;) {
      const missing = this.#missing(this.printed, text.split('\n'))
      if (missing === undefined) return undefined
      if (performance.now() > until) return `the server does not print ${missing}, but\n${this.printed}`
      await sleep(20)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** A command of the page with the port and the ids that they are here. */
  #here(command: string): string {
    return command.replaceAll(PORT, this.#port).replaceAll(new RegExp(ID, 'g'), (id) => this.#ids.get(id) ?? id)
  }

  /** The first expected line that does not come in its turn. */
  #missing(shown: string, expected: readonly string[]): string | undefined {
    const lines = shown.split(/\r?\n/)
    let [at, before] = [0, '']
    for (const line of expected.filter((one) => one.trim() !== '')) {
      const pattern = this.#pattern(line, before === 'event: progress')
      const found = lines.findIndex((one, index) => index >= at && pattern.test(one))
      if (found === -1) return `\`${line}\``
      const [documented, actual] = [ID.exec(line)?.[0], ID.exec(lines[found] ?? '')?.[0]]
      if (documented !== undefined && actual !== undefined) this.#ids.set(documented, actual)
      at = found + 1
      before = line
    }
    return undefined
  }

  /** `…` stands for anything, an id not known yet for any id, a number of progress for any number. */
  #pattern(line: string, isProgress: boolean): RegExp {
    const parts = line.split(new RegExp(`(${ID.source}|…|(?<=:)[\\d.]+)`)).map((part, index) => {
      if (index % 2 === 0) return RegExp.escape(part)
      if (part === '…') return '.*'
      if (ID.test(part)) return this.#ids.get(part) ?? ID.source
      return isProgress ? '[\\d.]+' : RegExp.escape(part)
    })
    return new RegExp(`^${parts.join('')}$`, 'i')
  }
}

async function shell(command: string, cwd: string): Promise<string> {
  const process = spawn('bash', ['-c', command], { cwd, stdio: ['ignore', 'pipe', 'ignore'], timeout: PATIENCE })
  let shown = ''
  process.stdout.on('data', (chunk) => (shown += String(chunk)))
  await once(process, 'close')
  return shown
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, 'localhost')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

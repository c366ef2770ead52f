import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ServerProcess, type ServerOptions } from '../../file-report/server-process.ts'

interface Scene extends Partial<ServerOptions> {
  /** What is shown: the server's side, in a process of its own. */
  readonly serve: () => RequestListener | Promise<RequestListener>
  /** The client's side: real HTTP, and what is seen by it. */
  readonly play: (server: ServerProcess, check: Check) => Promise<void>
}
export type Check = (seen: string, isGood: boolean) => void

/** Plays a scene: the file that calls this is run once more as its server. Exit code 1 where something was not as it should be. */
export async function scene(file: string, { serve, play, ...options }: Scene): Promise<void> {
  if (process.env['SCENE'] === 'serve') return listen(await serve())
  await using server = await ServerProcess.start(new URL(file), { ...options, env: { ...options.env, SCENE: 'serve' } })
  await play(server, (seen, isGood) => {
    console.log(`${isGood ? 'ok ' : 'NOT'}  ${seen}`)
    if (!isGood) process.exitCode = 1
  })
}

function listen(listener: RequestListener): void {
  const server = createServer(listener).listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  })
}

import type { RequestListener } from 'node:http'
import { MOUNT, type Handler } from '../access.ts'
import { exchange } from '../node-bridge.ts'

/**
 * A handler from Request to Response as a listener for `node:http`: `createServer(toNode(offstage.fetch))`. Throws OFFSTAGE_BAD_OPTION where
 * the routes given are closed.
 */
export function toNode(handler: (request: Request) => Response | Promise<Response>): RequestListener {
  const mount: Handler = handler
  mount[MOUNT]?.()
  return (req, res) => void exchange(handler, req, res) // it answers every failure itself
}

// Scene 1: start and answer. A handler starts a background task and answers. Its answer must not wait for the task, neither for one that
// takes long nor for one that blocks the event loop with its first line.
//   npm run example start-and-answer
import { setTimeout as sleep } from 'node:timers/promises'
import { createOffstage, task } from 'offstage'
import { toNode } from 'offstage/node'
import { scene } from './support/scene.ts'

const BLOCKS_FOR = 200

const slow = task({ name: 'slow', run: () => sleep(2_000) })
const blocking = task({
  name: 'blocking',
  run: () => {
    const until = performance.now() + BLOCKS_FOR
    while (performance.now() < until); // nothing else happens in this process meanwhile
  },
})

await scene(import.meta.url, {
  serve() {
    const offstage = createOffstage()
    return toNode(async ({ url }) => {
      const { pathname } = new URL(url)
      if (pathname === '/slow') await offstage.start(slow)
      if (pathname === '/blocking') await offstage.start(blocking)
      return Response.json({ answered: pathname })
    })
  },

  async play({ url }, check) {
    const time = async (path: string): Promise<number> => {
      const sentAt = performance.now()
      await (await fetch(new URL(path, url))).text()
      return performance.now() - sentAt
    }
    const median = (times: readonly number[]): number =>
      times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN

    await Promise.all([time('/empty'), time('/slow')]) // warm
    const [empties, starts]: [number[], number[]] = [[], []]
    for (let n = 0; n < 40; n++) {
      empties.push(await time('/empty'))
      starts.push(await time('/slow')) // in turn, so that whatever else the machine does meets both
    }
    const [empty, started] = [median(empties), median(starts)]
    check(
      `an empty handler answers in ${empty.toFixed(2)} ms; one that starts a task of 2 s in ${started.toFixed(2)} ms`,
      started < empty + 10,
    )

    for (let n = 1; n <= 3; n++) {
      const answered = await time('/blocking')
      const next = await time('/empty')
      check(
        `one that starts a task which blocks the loop for ${BLOCKS_FOR} ms: ${answered.toFixed(2)} ms; the next request had to wait ${next.toFixed(0)} ms`,
        answered < BLOCKS_FOR && answered + next > BLOCKS_FOR * 0.9,
      )
    }
  },
})

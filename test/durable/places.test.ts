import { expect, test } from 'vitest'
import { OpenPlaces } from '../../src/durable/places.ts'
import { eventLoop, type Executor } from '../../src/runtime/executor.ts'

const threads: Executor = { ...eventLoop(undefined as never), free: 2 }

test('one run with two crashes at a time; a parent that awaits its child does not keep it waiting', () => {
  const places = new OpenPlaces(4, threads)
  const parent = { thread: false, crashes: 2 }
  expect(places.free).toEqual({ all: 4, threads: 2, suspects: 1 })
  places.take(parent)
  expect(places.free).toEqual({ all: 3, threads: 2, suspects: 0 })
  let freed = 0
  const place = places.placeOf(parent, () => freed++)
  place.leave()
  expect([places.free, freed]).toEqual([{ all: 4, threads: 2, suspects: 1 }, 1])
  place.enter()
  expect(places.free).toEqual({ all: 3, threads: 2, suspects: 0 })
  places.leave(parent)
  expect([places.free, places.areAllFree]).toEqual([{ all: 4, threads: 2, suspects: 1 }, true])
})

test('a thread run is counted by the pool once its code was given to it', () => {
  const places = new OpenPlaces(4, threads)
  const run = { thread: true, crashes: 0 }
  places.take(run)
  expect(places.free).toMatchObject({ all: 3, threads: 1 })
  places.begun(run)
  expect(places.free).toMatchObject({ all: 3, threads: 2 })
})

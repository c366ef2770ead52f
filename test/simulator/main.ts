// The simulator in a process of its own: what it is asked is its one argument, and what it found one line of its output. Both are JSON.
import { simulateAll, type Asked } from './seeds.ts'

const asked = JSON.parse(process.argv[2] ?? '{"from":0,"to":100}') as Asked // its parent's word
process.stdout.write(JSON.stringify(await simulateAll(asked)))

// Ends what a lab left running: `node warden.js ROOT` waits for the end of its stdin, which comes when
// the test's process closes it or dies in whatever way, then kills every process of the lab and removes
// its folder. Nodes are in sessions of their own, so nobody else would.

import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { processesIn, signalAll } from './processes.ts'

/** A command that was about to start a node when it was killed has done so by the next round. */
const ROUNDS = 3
const PAUSE_MS = 200

const root = process.argv[2]
if (root === undefined) throw new Error('the folder of a lab is missing')
process.stdin.resume()
await once(process.stdin, 'close')
for (let round = 0; round < ROUNDS; round++) {
  signalAll(processesIn(root), 'SIGKILL')
  await sleep(PAUSE_MS)
}
rmSync(root, { recursive: true, force: true, maxRetries: 5 })

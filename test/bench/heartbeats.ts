// How late the heartbeats of a leader are while it makes a snapshot of a large state under writes. The leader
// of a cluster of three runs in this process, beside nothing else; two followers and the load are processes
// of their own.
//
//   node dist/test/bench/heartbeats.js [keys]      default 1000000, values of 256 B
//
// The slip is how much later than it was to run a timer of the heartbeat's interval runs; a turn is measured
// as in turns.ts.

import { fork } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { parseAddress } from '../../lib/address.ts'
import { present } from '../../lib/assert.ts'
import { MAX_SETMULTI_KEYS } from '../../lib/limits.ts'
import { AspenNode } from '../../lib/node/node.ts'
import { TIMING } from '../../lib/raft/timing.ts'
import { Lab, waitFor } from '../e2e/lab.ts'
import { printConditions, printResults, quantileOf, readConditions } from './conditions.ts'

const LOAD = fileURLToPath(new URL('./heartbeats-load-process.js', import.meta.url))
const KEY_COUNT = Number(process.argv[2] ?? 1_000_000)
const ENTRY_COUNT = Math.ceil(KEY_COUNT / MAX_SETMULTI_KEYS)
const VALUE_BYTES = 256
const FILLERS = 4
const QUIET_MS = 10_000
/** Entries after all keys until the snapshot is due: a while of load without one. */
const BEFORE_COUNT = 2_000
const { heartbeatMs } = TIMING.default
const MICROSECONDS_PER_MS = 1e3

const lab = await Lab.open()
printConditions(await readConditions(lab.root))
const folder = lab.dataDir('alder')
const node = await AspenNode.open({
  intent: { kind: 'create' },
  dataDir: folder,
  name: 'alder',
  bootstrap: [present(parseAddress(lab.bootstrap), 'the address of the DHT')],
  port: null,
  httpPort: null,
  timing: 'default',
  storage: {
    snapshotEntries: ENTRY_COUNT + BEFORE_COUNT,
    snapshotBytes: 2 ** 40,
    snapshotAgeMs: 2 ** 40,
    maxEntries: 2 * KEY_COUNT,
    maxBytes: 2 ** 32
  },
  logger: pino({ level: 'silent' }),
  onProgress: () => {}
})
const { ticket } = present(node.opened.ticket, 'the first ticket')
for (const name of ['birch', 'cedar']) await lab.run(name, ['join', ticket, '--name', name])
await lab.voters('birch', 3)

let slipsMs: number[] = []
let longestTurnMs = 0
const rows: string[][] = []
watchTurns()
beat(performance.now())

await measured(`${KEY_COUNT} keys written`, fill)
await measured('nothing', () => sleep(QUIET_MS))
const load = fork(LOAD, [join(folder, 'aspen.sock')])
await measured('puts, 16 at a time', () => waitFor('the snapshot', isBeingMade, 600_000))
await measured('the same while the snapshot is made', () =>
  waitFor('its end', () => madeCount() > 0, 600_000)
)
await measured('the same after it', () => sleep(QUIET_MS))
load.kill()
printResults(
  ['on the leader', 'seconds', 'slip p50, ms', 'slip p99, ms', 'slip max, ms', 'longest turn, ms'],
  rows
)
await node.close()
await lab.close()
process.exit(0)

async function fill(): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    while (next < KEY_COUNT) {
      const from = next
      next += MAX_SETMULTI_KEYS
      const pairs = Array.from(
        { length: MAX_SETMULTI_KEYS },
        (_, at) => [`bench/key/${from + at}`, new Uint8Array(VALUE_BYTES).fill(from + at)] as const
      )
      await node.kv.write({ command: { SetMulti: { pairs } } }, { timeoutMs: 60_000 })
    }
  }
  await Promise.all(Array.from({ length: FILLERS }, work))
}

async function measured(what: string, work: () => Promise<unknown>): Promise<void> {
  slipsMs = []
  longestTurnMs = 0
  const startedMs = performance.now()
  await work()
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
  const slips = [0.5, 0.99, 1].map((share) => quantileOf(slipsMs, share).toFixed(1))
  rows.push([what, seconds, ...slips, longestTurnMs.toFixed(1)])
}

/** As a heartbeat is timed: an interval after the last one was due. */
function beat(dueMs: number): void {
  const nowMs = performance.now()
  slipsMs.push(Math.max(0, nowMs - dueMs))
  const nextMs = Math.max(nowMs, dueMs + heartbeatMs)
  setTimeout(() => beat(nextMs), nextMs - nowMs)
}

function watchTurns(): void {
  let last = moment()
  setInterval(() => {
    const now = moment()
    const turnMs = Math.min(now.clockMs - last.clockMs, now.processorMs - last.processorMs)
    longestTurnMs = Math.max(longestTurnMs, turnMs)
    last = now
  }, 1)
}

function moment(): { readonly clockMs: number; readonly processorMs: number } {
  const { user, system } = process.cpuUsage()
  return { clockMs: performance.now(), processorMs: (user + system) / MICROSECONDS_PER_MS }
}

function isBeingMade(): boolean {
  return filesOfSnapshots().some((name) => name.startsWith('making-'))
}

function madeCount(): number {
  return filesOfSnapshots().filter((name) => /^\d.*\.manifest$/.test(name)).length
}

function filesOfSnapshots(): string[] {
  return readdirSync(join(folder, 'snapshots'))
}

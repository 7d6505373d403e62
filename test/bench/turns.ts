// How long one turn of a node's event loop takes: a heartbeat behind a long turn is late. The node
// under measurement leads a cluster of three and runs in this process, beside nothing else; two
// followers and the load are processes of their own.
//
//   node dist/test/bench/turns.js
//
// A turn is what lies between two ticks of a 1 ms timer, by the clock or by the processor time of the
// process, whichever is less: other programs of the machine may hold the core, and helper threads of
// this one count as processor time.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { present } from '../../lib/assert.ts'
import { parseAddress } from '../../lib/address.ts'
import { AspenNode } from '../../lib/node/node.ts'
import { Lab } from '../e2e/lab.ts'
import { printConditions, printResults, quantileOf, readConditions } from './conditions.ts'

const LOAD = fileURLToPath(new URL('./turns-load-process.js', import.meta.url))
const MICROSECONDS_PER_MS = 1e3

const lab = await Lab.open()
printConditions(await readConditions(lab.root))
const node = await AspenNode.open({
  intent: { kind: 'create' },
  dataDir: lab.dataDir('alder'),
  name: 'alder',
  bootstrap: [present(parseAddress(lab.bootstrap), 'the address of the DHT')],
  port: null,
  httpPort: null,
  timing: 'default',
  storage: null,
  logger: pino({ level: 'silent' }),
  onProgress: () => {}
})
const { ticket } = present(node.opened.ticket, 'the first ticket')
for (const name of ['birch', 'cedar']) await lab.run(name, ['join', ticket, '--name', name])
await lab.voters('birch', 3)

const rows: string[][] = []
let turnsMs: number[] = []
let last = moment()
setInterval(() => {
  const now = moment()
  turnsMs.push(Math.min(now.clockMs - last.clockMs, now.processorMs - last.processorMs))
  last = now
}, 1)
const load = fork(LOAD, [join(lab.dataDir('alder'), 'aspen.sock')])
load.on('message', (message: { readonly phase: string; readonly isOver: boolean }) => {
  if (message.isOver) {
    const cells = [0.5, 0.99, 0.999, 1].map((share) => quantileOf(turnsMs, share).toFixed(1))
    rows.push([message.phase, String(turnsMs.length), ...cells])
  } else {
    turnsMs = []
    last = moment()
  }
  load.send('go on')
})
await once(load, 'exit')
printResults(['load on the leader', 'turns', 'p50 ms', 'p99 ms', 'p99.9 ms', 'max ms'], rows)
await node.close()
await lab.close()
process.exit(0)

function moment(): { readonly clockMs: number; readonly processorMs: number } {
  const { user, system } = process.cpuUsage()
  return { clockMs: performance.now(), processorMs: (user + system) / MICROSECONDS_PER_MS }
}

// How long one turn of a node's event loop takes: a heartbeat behind a long turn is late. The node
// under measurement leads a cluster of three and runs in this process, beside nothing else; two
// followers and the load are processes of their own.
//
//   node dist/test/bench/turns.js
//
// A turn is measured as the delay of a 1 ms timer (perf_hooks), so waiting for a core counts too: on a
// busy machine the numbers say more of the machine than of the node.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { present } from '../../lib/assert.ts'
import { parseAddress } from '../../lib/address.ts'
import { AspenNode } from '../../lib/node/node.ts'
import { Lab } from '../e2e/lab.ts'
import { printConditions, printResults, readConditions } from './conditions.ts'

const LOAD = fileURLToPath(new URL('./turns-load-process.js', import.meta.url))
const NANOSECONDS_PER_MS = 1e6

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
  logger: pino({ level: 'silent' }),
  onProgress: () => {}
})
const { ticket } = present(node.opened.ticket, 'the first ticket')
for (const name of ['birch', 'cedar']) await lab.run(name, ['join', ticket, '--name', name])
await lab.voters('birch', 3)

const rows: string[][] = []
const histogram = monitorEventLoopDelay({ resolution: 1 })
const load = fork(LOAD, [join(lab.dataDir('alder'), 'aspen.sock')])
load.on('message', (message: { readonly phase: string; readonly isOver: boolean }) => {
  if (message.isOver) {
    histogram.disable()
    const ms = [50, 99, 99.9].map((rank) => histogram.percentile(rank) / NANOSECONDS_PER_MS)
    const cells = [...ms, histogram.max / NANOSECONDS_PER_MS].map((value) => value.toFixed(1))
    rows.push([message.phase, String(histogram.count), ...cells])
  } else {
    histogram.reset()
    histogram.enable()
  }
  load.send('go on')
})
await once(load, 'exit')
printResults(['load on the leader', 'turns', 'p50 ms', 'p99 ms', 'p99.9 ms', 'max ms'], rows)
await node.close()
await lab.close()
process.exit(0)

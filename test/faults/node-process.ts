// A node as the commands run it, with the one thing that they cannot give: somebody who hears of each
// durable boundary, and ends the process there as a power cut would. Its order is its first argument
// (node-order.ts); it prints `ready`, and for a new cluster the ticket, on one line of stdout, and its
// log on stderr.

import { parseAddress } from '../../lib/address.ts'
import { present } from '../../lib/assert.ts'
import { runNode } from '../../lib/cli/run-node.ts'
import { createLogger } from '../../lib/node/log.ts'
import { crashAt } from './crash.ts'
import type { NodeOrder } from './node-order.ts'
import { SMALL_STORAGE } from './small-storage.ts'

const order: NodeOrder = JSON.parse(present(process.argv[2], 'the order'))
const { command, dataDir, name, ticket, crossedPath, crash, stallMs } = order
process.on('SIGUSR2', () => {
  for (const endMs = performance.now() + stallMs; performance.now() < endMs;);
})
const bootstrap = order.bootstrap === null ? [] : [present(parseAddress(order.bootstrap), 'it')]
const logger = createLogger({ level: 'info', destination: 'ndjson' })
process.exitCode = await runNode({
  launch: {
    command,
    target: { dataDir, name, selector: '' },
    bootstrap,
    port: null,
    httpPort: null,
    timing: 'lan',
    storage: SMALL_STORAGE,
    storageBackend: 'sqlite',
    peers: null,
    settings: {},
    logLevel: 'info',
    timeoutMs: 60_000
  },
  ticket,
  logger,
  reporter: {
    progress: () => {},
    ready: (ready) => void process.stdout.write(`ready ${ready.ticket?.ticket ?? ''}\n`),
    closing: () => {},
    failed: (error) => {
      logger.fatal({ err: error }, 'the node could not be opened')
      return Promise.resolve()
    }
  },
  onBoundary: crashAt(crash, crossedPath)
})

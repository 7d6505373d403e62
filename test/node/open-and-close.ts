// A program that runs two nodes, lets one opening fail half-way, closes all, and has nothing more to
// do: it must end by itself. Started by node.test.ts with a folder and a bootstrap node.

import { present } from '../../lib/assert.ts'
import { parseAddress } from '../../lib/address.ts'
import { openNode } from './nodes.ts'

const [root = '', bootstrap = ''] = process.argv.slice(2)
const site = { root, bootstrap: [present(parseAddress(bootstrap), 'an address')] }
const a = await openNode(site, { kind: 'create' }, { name: 'a' })
const { ticket } = present(a.opened.ticket, 'a ticket')
const b = await openNode(site, { kind: 'join', ticket, timeoutMs: 20_000 }, { name: 'b' })
// the port is taken by the first node's API
const httpPort = Number(new URL(a.status().api.http).port)
const failure = await openNode(site, { kind: 'create' }, { name: 'c', httpPort }).then(
  () => 'opened',
  (error: unknown) => (error instanceof Error ? error.name : String(error))
)
await Promise.all([b.close(), b.close()])
await a.close()
const report = { failure, exitCodes: [await a.closed, await b.closed] }
process.stdout.write(`${JSON.stringify(report)}\n`)

// A member in a process of its own, for tests that kill or stop one. Arguments: one JSON object.
// Prints each event as a line; ends with SIGTERM.

import { systemClock } from '../../lib/clock.ts'
import { TIMING } from '../../lib/raft/timing.ts'
import type { Address } from '../../lib/address.ts'
import { HyperswarmNetwork } from '../../lib/transport/hyperswarm-network.ts'
import { keyPairOf, makeNode } from './harness.ts'

interface Arguments {
  readonly name: string
  readonly id: number
  readonly bootstrap: readonly Address[]
  readonly port: number | null
  readonly peers: readonly {
    readonly name: string
    readonly id: number
    readonly addresses: Address[]
  }[]
}

const { name, id, bootstrap, port, peers }: Arguments = JSON.parse(process.argv[2] ?? '{}')
const network = new HyperswarmNetwork({
  keyPair: keyPairOf(name),
  bootstrap,
  port,
  preferredPort: null,
  timing: TIMING.default
})
const node = makeNode({ name, id, network })
const members = peers.map((peer) => ({ ...peer, publicKey: keyPairOf(peer.name).publicKey }))
for (const member of members)
  node.trust.setStanding(member.publicKey, { kind: 'member', id: member.id })
node.recorder.hook = (event) => console.log(event)
await node.links.open()
console.log(`port ${network.port}`)
node.links.setPeers(members)
process.on('SIGTERM', () => {
  const startMs = systemClock.nowMs()
  void node.links.close().then(() => console.log(`closed ${systemClock.nowMs() - startMs}`))
})

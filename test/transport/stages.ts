// The two networks, for the tests that run over both.

import test from 'brittle'
import type { Assert } from 'brittle'
import { systemClock, systemTimers } from '../../lib/clock.ts'
import { TIMING } from '../../lib/raft/timing.ts'
import { HyperswarmNetwork } from '../../lib/transport/hyperswarm-network.ts'
import { MemoryHub } from '../../lib/transport/memory-network.ts'
import type { Network } from '../../lib/transport/network.ts'
import { keyPairOf, makeNode } from './harness.ts'
import type { Node, NodeParts } from './harness.ts'

type Fixture = (name: string) => Network

const fixtures: Record<string, () => Fixture> = {
  memory: () => {
    const hub = new MemoryHub({
      clock: systemClock,
      timers: systemTimers,
      delayMs: 1,
      linkTimeoutMs: TIMING.lan.linkTimeoutMs
    })
    let port = 1
    return (name) => hub.network(keyPairOf(name), { host: '127.0.0.1', port: port++ })
  },
  hyperswarm: () => (name) =>
    new HyperswarmNetwork({
      keyPair: keyPairOf(name),
      bootstrap: [],
      port: null,
      preferredPort: null,
      timing: TIMING.lan
    })
}

export interface Stage {
  readonly make: (parts: Omit<NodeParts, 'network'>) => Promise<Node>
  readonly network: (name: string) => Network
}

/** One test per network. */
export function check(what: string, run: (t: Assert, stage: Stage) => Promise<void>): void {
  for (const [kind, makeFixture] of Object.entries(fixtures)) {
    void test(`${kind}: ${what}`, async (t) => {
      const fixture = makeFixture()
      const opened: { close(): Promise<void> }[] = []
      // the program's timers let the process end; a test has to see them fire
      const alive = setInterval(() => {}, 1_000)
      const stage: Stage = {
        network: (name) => {
          const network = fixture(name)
          opened.push(network)
          return network
        },
        make: async (parts) => {
          const node = makeNode({ ...parts, network: fixture(parts.name) })
          opened.push(node.links)
          await node.links.open()
          return node
        }
      }
      try {
        await run(t, stage)
      } finally {
        await Promise.all(opened.map((each) => each.close()))
        clearInterval(alive)
      }
    })
  }
}

// The oracles of the simulator (lib/testing/core-oracles.ts) over a cluster of bare cores.

import { present } from '../../lib/assert.ts'
import type { Effects, Event, Status } from '../../lib/raft/effects.ts'
import { SEND_LIMITS } from '../../lib/raft/send-limits.ts'
import { CoreOracles } from '../../lib/testing/core-oracles.ts'
import type { DurableLog, ObservedCore } from '../../lib/testing/oracle.ts'
import type { Rarity } from '../../lib/testing/coverage.ts'
import type { Cluster, Node } from './cluster.ts'

export class Oracles {
  readonly #cluster: Cluster
  readonly #oracles: CoreOracles
  readonly #counts = new Map<Rarity, number>(WATCHED.map((rarity) => [rarity, 0]))
  #before: Status | null = null

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#oracles = new CoreOracles({
      durable: (id) => durableOf(this.#cluster.node(id)),
      limits: SEND_LIMITS,
      count: (rarity, by = 1) => this.#count(rarity, by)
    })
    for (const node of cluster.nodes.values()) this.#open(node)
    cluster.hooks = {
      beforeStep: (node, event) => {
        this.#before = node.raft.status()
        this.#oracles.beforeStep(observed(node), event)
      },
      afterStep: (node, event, effects) => this.#afterStep(node, event, effects),
      onSend: (from, to, message) => this.#oracles.onSend(from.id, to, message),
      onCrash: (node, lostCount) => {
        if (lostCount > 0) this.#count('lostWrites', 1)
        this.#oracles.onCrash(node.id)
        this.#open(node)
      }
    }
  }

  get committedCount(): number {
    return this.#oracles.committedCount
  }

  /** How often what a run should meet has happened. */
  get counts(): ReadonlyMap<Rarity, number> {
    return this.#counts
  }

  #afterStep(node: Node, event: Event, effects: Effects): void {
    const before = present(this.#before, 'the status before')
    const after = node.raft.status()
    this.#oracles.afterStep({ core: observed(node), event, before, after, effects })
  }

  #open({ id, disk }: Node): void {
    const { base: baseId, baseConfiguration: configuration, stored: entries, hardState } = disk
    this.#oracles.onOpen(id, { base: { id: baseId, configuration }, entries, hardState })
  }

  #count(rarity: Rarity, by: number): void {
    this.#counts.set(rarity, (this.#counts.get(rarity) ?? 0) + by)
  }
}

const WATCHED: readonly Rarity[] = [
  'elections',
  'truncations',
  'jointChanges',
  'jointElections',
  'lostWrites',
  'linearizableReads'
]

function observed({ id, boot, raft, disk }: Node): ObservedCore {
  return {
    id,
    boot,
    get baseIndex() {
      return disk.base.index
    },
    knownAt(index) {
      const found = raft.idAt(index)
      return typeof found === 'object' ? found : null
    }
  }
}

function durableOf({ disk }: Node): DurableLog {
  return {
    hardState: disk.hardState,
    lastIndex: disk.last.index,
    baseIndex: disk.base.index,
    idAt(index) {
      const found = disk.idAt(index)
      return typeof found === 'object' ? found : null
    }
  }
}

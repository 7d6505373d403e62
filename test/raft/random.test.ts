// Many short random lives of five cores: loss, duplication and reordering of messages, long delays,
// crashes that lose writes, membership changes, transfers, reads, logs that are compacted and snapshots that
// are installed. RAFT_SEED=n repeats one of them,
// RAFT_SEEDS=n runs more.

import test from 'brittle'
import type { NodeId } from '../../lib/node-id.ts'
import { SeededRandom } from '../../lib/random.ts'
import type { InstalledSnapshot } from '../../lib/raft/effects.ts'
import type { ConfigurationChange } from '../../lib/raft/configuration.ts'
import { learnersOf, votersOf } from '../../lib/raft/configuration.ts'
import type { InTransit, Node } from './cluster.ts'
import { Cluster } from './cluster.ts'
import { timing } from './fixtures.ts'
import { Oracles } from './oracles.ts'

const EVENTS = 600
const SEED_COUNT = Number(process.env['RAFT_SEEDS'] ?? 200)
const ONLY = process.env['RAFT_SEED']

class World {
  readonly cluster: Cluster
  readonly oracles: Oracles
  readonly #random: SeededRandom
  /** drawn for each seed: how hostile it is */
  readonly #lossPercent: number
  readonly #crashPercent: number
  /** delivered or lost before; may come again */
  readonly #late: InTransit[] = []
  #lastRef = 0
  /** snapshots on their way, and to whom: late, repeated, or overtaken by a newer one */
  readonly #snapshots: { readonly to: NodeId; readonly snapshot: InstalledSnapshot }[] = []
  readonly #compactPercent: number
  readonly counts = new Map<string, number>([
    ['compactions', 0],
    ['adopted', 0],
    ['adopted with a tail', 0],
    ['obsolete', 0]
  ])

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
    this.#lossPercent = this.below(30)
    this.#crashPercent = this.below(5)
    this.#compactPercent = this.below(4)
    this.cluster = Cluster.of([1, 2, 3], { learners: [4, 5] })
    this.cluster.isDiskFast = false
    this.oracles = new Oracles(this.cluster)
    for (const id of this.cluster.nodes.keys()) this.cluster.tick(id)
  }

  below(limit: number): number {
    return Math.floor((this.#random.uint32() / 2 ** 32) * limit)
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)]
  }

  act(): void {
    const node = this.pick([...this.cluster.nodes.values()])
    if (node === undefined) return
    if (!node.isUp) {
      if (this.below(100) < 20) this.cluster.restart(node.id)
      return
    }
    const dice = this.below(100)
    if (dice < 45) this.#network()
    else if (dice < 60) this.cluster.completeWrite(node.id)
    else if (dice < 75) this.#passTime()
    else if (dice < 90) this.#ask(node)
    else if (dice < 90 + this.#crashPercent) this.#crash(node)
    else if (dice < 94 + this.#compactPercent) this.#compactOrInstall(node)
    else if (dice === 97) this.cluster.linkUp(node.id)
    else if (dice === 98) this.#loseLeader(node)
  }

  /** The end of all faults: one more entry must commit everywhere. */
  heal(): void {
    const { cluster } = this
    cluster.isDiskFast = true
    cluster.network = []
    for (const node of cluster.nodes.values()) {
      if (node.isUp) cluster.completeWrites(node.id)
      else cluster.restart(node.id)
    }
    for (const node of cluster.nodes.values()) cluster.linkUp(node.id)
    cluster.settle()
    for (let round = 0; round < 20 && this.disagreement() !== null; round++) {
      cluster.run(timing.electionMaxMs / 2)
      for (const node of cluster.nodes.values()) this.#fetch(node)
      while (this.#snapshots.length > 0) this.#install()
      cluster.settle()
    }
  }

  #compactOrInstall(node: Node): void {
    const dice = this.below(3)
    if (dice === 0) this.#compact(node)
    if (dice === 1) this.#offer(node)
    this.#fetch(node)
    if (this.below(2) === 0) this.#install()
  }

  /** What a snapshot of the node would hold goes, up to somewhere; never the last entry. */
  #compact({ disk, raft, writes }: Node): void {
    // a store takes both in order; this disk has no queue
    if (writes.some(({ install }) => install !== null)) return
    const { commitIndex, durableIndex } = raft.status()
    const end = Math.min(commitIndex, durableIndex, disk.last.index - 1)
    if (end <= disk.base.index) return
    disk.compact(disk.base.index + 1 + this.below(end - disk.base.index))
    this.#count('compactions')
  }

  /** Somebody gets a snapshot of what the node has committed, whether anybody asked for one or not. */
  #offer({ disk, raft }: Node): void {
    const end = Math.min(raft.status().commitIndex, disk.last.index)
    const to = this.pick([...this.cluster.nodes.keys()])
    if (end <= disk.base.index || to === undefined) return
    const index = disk.base.index + 1 + this.below(end - disk.base.index)
    this.#snapshots.push({ to, snapshot: disk.snapshotAt(index) })
  }

  /** Followers that a leader has asked a snapshot for get one of any member that has it. */
  #fetch(leader: Node): void {
    if (!leader.isUp) return
    for (const [to, { state }] of leader.raft.status().progress) {
      if (state !== 'snapshot') continue
      const { base, baseConfiguration: known, baseTimeMs: timeMs } = leader.disk
      if (known === null) continue
      const { index: configurationIndex, configuration } = known
      this.#snapshots.push({
        to,
        snapshot: { id: base, timeMs, configuration, configurationIndex }
      })
    }
  }

  #install(): void {
    const at = this.below(this.#snapshots.length)
    const found = this.#snapshots[at]
    if (found === undefined) return
    if (this.below(4) !== 0) this.#snapshots.splice(at, 1)
    const { to, snapshot } = found
    if (!this.cluster.node(to).isUp) return
    const { installed, write } = this.cluster.step(to, { kind: 'install', snapshot })
    this.#count(installed ?? 'diverged')
    if (write?.install?.keepsTail === true) this.#count('adopted with a tail')
  }

  #count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
  }

  /** What keeps the cluster from being in agreement, or null. */
  disagreement(): string | null {
    const leaders = this.cluster.leaders()
    if (leaders.length !== 1) return `${leaders.length} nodes lead`
    for (const { id, raft } of this.cluster.nodes.values()) {
      const { commitIndex, lastIndex } = raft.status()
      if (commitIndex !== this.oracles.committedCount) return `node ${id} is at ${commitIndex}`
      if (lastIndex !== commitIndex) return `node ${id} has uncommitted entries`
    }
    return null
  }

  #network(): void {
    const { network } = this.cluster
    const at = this.below(4) === 0 ? this.below(network.length) : 0
    const transit = network[at]
    if (transit === undefined) return
    network.splice(at, 1)
    if (this.below(8) === 0) this.#late.push(transit)
    if (this.below(100) >= this.#lossPercent) this.cluster.receive(transit)
    const late = this.below(10) === 0 ? this.pick(this.#late) : undefined
    if (late !== undefined) this.cluster.receive(late)
  }

  #passTime(): void {
    this.cluster.nowMs += this.below(20) === 0 ? this.below(3_000) : this.below(200)
    for (const node of this.cluster.nodes.values()) {
      if (node.isUp && node.deadlineMs <= this.cluster.nowMs) this.cluster.tick(node.id)
    }
  }

  #ask(node: Node): void {
    const leader = this.pick(this.cluster.leaders()) ?? node
    const ref = ++this.#lastRef
    const dice = this.below(10)
    if (dice < 5) this.cluster.propose(leader.id, `${ref}`, ref)
    else if (dice < 7) this.cluster.step(leader.id, { kind: 'read', ref })
    else if (dice < 9)
      this.cluster.step(leader.id, { kind: 'change', ref, change: this.#change(node) })
    else this.cluster.step(leader.id, { kind: 'transfer', ref, target: node.id })
  }

  #change(node: Node): ConfigurationChange {
    const { configuration } = node.raft.status()
    const some = (ids: readonly NodeId[]): readonly NodeId[] =>
      ids.filter(() => this.below(3) === 0)
    const promote = some(learnersOf(configuration))
    const demote = some(votersOf(configuration))
    return { add: [], promote, demote, remove: [] }
  }

  #crash(node: Node): void {
    this.cluster.crash(node.id, this.below(node.writes.length + 1))
  }

  #loseLeader(node: Node): void {
    const { leader } = node.raft.status()
    if (leader !== null && leader !== node.id) {
      this.cluster.step(node.id, { kind: 'leaderLinkLost', id: leader })
    }
  }
}

/** Why the seed failed, or null. */
function live(seed: number, counts: Map<string, number>): string | null {
  try {
    const world = new World(seed)
    for (let event = 0; event < EVENTS; event++) world.act()
    world.heal()
    const disagreement = world.disagreement()
    if (disagreement !== null) return `at the end ${disagreement}`
    for (const [name, count] of [...world.oracles.counts, ...world.counts]) {
      counts.set(name, (counts.get(name) ?? 0) + count)
    }
    return null
  } catch (error) {
    return error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : String(error)
  }
}

test('random lives keep every invariant and end in agreement', (t) => {
  const first = ONLY === undefined ? Math.floor(Date.now() % 1_000_000) * 1_000 : Number(ONLY)
  const count = ONLY === undefined ? SEED_COUNT : 1
  t.comment(`seeds ${first} to ${first + count - 1}`)
  const counts = new Map<string, number>()
  for (let seed = first; seed < first + count; seed++) {
    const failure = live(seed, counts)
    if (failure !== null) return t.fail(`RAFT_SEED=${seed}: ${failure}`)
  }
  t.comment(JSON.stringify(Object.fromEntries(counts)))
  if (ONLY !== undefined) return t.pass('the seed passes')
  // a batch in which these never happened proves nothing
  for (const [name, total] of counts) t.ok(total > 0, `${name}: ${total}`)
})

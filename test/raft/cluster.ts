// Several cores on a virtual clock, with a network and disks whose every delivery and completion is
// the test's decision. Messages cross it as bytes.

import { assert, present } from '../../lib/assert.ts'
import { bytesOf } from '../../lib/encoding.ts'
import type { NodeId } from '../../lib/node-id.ts'
import { SeededRandom } from '../../lib/random.ts'
import type { Effects, Event, Outgoing, Token, Write } from '../../lib/raft/effects.ts'
import { decodeMessage, encodeMessage } from '../../lib/raft/encoding.ts'
import type { Entry, Index } from '../../lib/raft/entry.ts'
import { ENTRY_KIND } from '../../lib/raft/entry.ts'
import type { Message } from '../../lib/raft/message.ts'
import { Raft } from '../../lib/raft/raft.ts'
import {
  configurationEntry,
  configurationOf,
  Disk,
  entriesAfter,
  GENESIS,
  timing
} from './fixtures.ts'

function isOfKind<Kind extends Message['kind']>(
  message: Message,
  kind: Kind
): message is Extract<Message, { kind: Kind }> {
  return message.kind === kind
}

export interface InTransit {
  readonly from: NodeId
  readonly to: NodeId
  readonly message: Message
}

export interface ClusterHooks {
  readonly beforeStep?: (node: Node, event: Event) => void
  readonly afterStep?: (node: Node, event: Event, effects: Effects) => void
  /** a message leaves: whatever it waited for is durable */
  readonly onSend?: (from: Node, to: NodeId, message: Message) => void
  /** with how many writes that did not reach the disk */
  readonly onCrash?: (node: Node, lostCount: number) => void
}

/** One machine: its disk outlives its process. */
export class Node {
  readonly id: NodeId
  readonly disk: Disk
  boot = 0
  raft: Raft
  isUp = true
  /** handed to the disk, not durable */
  writes: Write[] = []
  gated: (Outgoing & { readonly token: Token })[] = []
  deadlineMs = 0
  /** difference of its wall clock to the right time */
  skewMs = 0
  /** everything that its steps returned, oldest first */
  readonly effects: Effects[] = []

  constructor(id: NodeId, disk: Disk) {
    this.id = id
    this.disk = disk
    this.raft = this.boots()
  }

  boots(): Raft {
    this.boot++
    this.isUp = true
    this.writes = []
    this.gated = []
    const { disk, id, boot } = this
    const random = new SeededRandom(id * 1_000 + boot)
    return new Raft(
      { id, boot, timing, random, log: disk },
      {
        hardState: disk.hardState,
        configurations: disk.configurations,
        appliedIndex: 0
      }
    )
  }
}

export class Cluster {
  readonly nodes = new Map<NodeId, Node>()
  network: InTransit[] = []
  nowMs = 0
  hooks: ClusterHooks = {}
  /** writes complete in the step that made them */
  isDiskFast = true
  /** messages that are lost on the way */
  isLost: (transit: InTransit) => boolean = () => false

  /** `voters` with one log: their configuration and then `terms`. */
  static of(
    voters: readonly NodeId[],
    more: { learners?: readonly NodeId[]; terms?: readonly number[] } = {}
  ): Cluster {
    const cluster = new Cluster()
    const first = configurationEntry(GENESIS, configurationOf(voters, more.learners))
    const entries = [first, ...entriesAfter(first, more.terms ?? [])]
    for (const id of [...voters, ...(more.learners ?? [])]) cluster.add(id, entries)
    return cluster
  }

  /** Only node `id` of `voters` exists: the test speaks for the others. */
  static alone(
    id: NodeId,
    voters: readonly NodeId[],
    more: { learners?: readonly NodeId[]; terms?: readonly number[] } = {}
  ): Cluster {
    const cluster = Cluster.of(voters, more)
    for (const other of [...voters, ...(more.learners ?? [])]) {
      if (other !== id) cluster.nodes.delete(other)
    }
    return cluster
  }

  add(id: NodeId, entries: readonly Entry[] = [], term = entries.at(-1)?.term ?? 0): Node {
    const disk = new Disk(entries)
    if (entries.length > 0) disk.hardState = { term, votedFor: null, commitIndex: 0 }
    const node = new Node(id, disk)
    this.nodes.set(id, node)
    return node
  }

  node(id: NodeId): Node {
    return present(this.nodes.get(id), `node ${id}`)
  }

  raft(id: NodeId): Raft {
    return this.node(id).raft
  }

  step(id: NodeId, event: Event): Effects {
    const node = this.node(id)
    assert(node.isUp, 'only a running node steps')
    this.hooks.beforeStep?.(node, event)
    const wallMs = 1_700_000_000_000 + Math.floor(this.nowMs) + node.skewMs
    const effects = node.raft.step(event, { nowMs: this.nowMs, wallMs })
    node.effects.push(effects)
    node.deadlineMs = effects.deadlineMs
    if (effects.write !== null) node.writes.push(effects.write)
    node.gated.push(...effects.gated)
    for (const { to, message } of effects.messages) this.#send(node, to, message)
    this.hooks.afterStep?.(node, event, effects)
    if (this.isDiskFast) this.completeWrites(id)
    return effects
  }

  tick(id: NodeId): Effects {
    return this.step(id, { kind: 'tick' })
  }

  /** The oldest write of the node reaches its disk. Returns false if there is none. */
  completeWrite(id: NodeId): boolean {
    const node = this.node(id)
    const write = node.writes.shift()
    if (write === undefined) return false
    node.disk.apply(write)
    const ready = node.gated.filter((outgoing) => outgoing.token <= write.token)
    node.gated = node.gated.filter((outgoing) => outgoing.token > write.token)
    for (const { to, message } of ready) this.#send(node, to, message)
    this.step(id, { kind: 'durable', token: write.token })
    return true
  }

  completeWrites(id: NodeId): void {
    while (this.completeWrite(id));
  }

  /** Takes the first message that fits out of the network and delivers it. */
  deliver(fits: (transit: InTransit) => boolean = () => true): InTransit | null {
    const at = this.network.findIndex(fits)
    if (at === -1) return null
    const transit = present(this.network[at], 'a message')
    this.network.splice(at, 1)
    this.receive(transit)
    return transit
  }

  /** Delivers `transit`, which may have been taken out or delivered before. */
  receive({ from, to, message }: InTransit): void {
    const node = this.nodes.get(to)
    if (node?.isUp === true) this.step(to, { kind: 'message', from, message })
  }

  /** Delivers everything and completes every write until nothing is left to do. */
  settle(): void {
    for (let count = 0; count < 20_000; count++) {
      if (this.deliver() === null && !this.#completeAny()) return
    }
    throw new Error('the cluster does not settle')
  }

  /** Time passes: every node ticks at its deadlines, and everything is delivered at once. */
  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs
    for (;;) {
      const next = this.#nextDue()
      if (next === null || next.deadlineMs > endMs) break
      this.nowMs = Math.max(this.nowMs, next.deadlineMs)
      this.tick(next.id)
      this.settle()
    }
    this.nowMs = endMs
  }

  /** Makes `id` the leader, whatever the timers say, as long as the others agree. */
  elect(id: NodeId): void {
    for (const node of this.nodes.values()) if (node.isUp) this.tick(node.id)
    this.nowMs += timing.electionMaxMs
    this.tick(id)
    this.settle()
    assert(this.raft(id).status().role === 'leader', `node ${id} leads`)
  }

  message(id: NodeId, from: NodeId, message: Message): Effects {
    return this.step(id, { kind: 'message', from, message })
  }

  /** Elects `id`, which is alone here, with the votes of `friends`; nothing is committed yet. */
  lead(id: NodeId, friends: readonly NodeId[]): void {
    this.tick(id)
    this.nowMs += timing.electionMaxMs
    this.tick(id)
    const term = this.raft(id).status().term + 1
    for (const from of friends) {
      this.message(id, from, { kind: 'preVoteAnswer', term, isGranted: true, ownTerm: term - 1 })
    }
    this.completeWrites(id)
    for (const from of friends) {
      this.message(id, from, { kind: 'voteAnswer', term, isGranted: true })
    }
    assert(this.raft(id).status().role === 'leader', 'the votes suffice')
    if (this.isDiskFast) this.completeWrites(id)
  }

  /** `from` acknowledges everything up to `matchIndex` in its present session. */
  acknowledge(id: NodeId, from: NodeId, matchIndex: Index): Effects {
    const { term } = this.raft(id).status()
    const session = this.sessionOf(id, from)
    const result = { kind: 'matched', matchIndex } as const
    return this.message(id, from, { kind: 'appendAnswer', term, session, result })
  }

  /** The session of the last append that `id` sent to `to`. */
  sessionOf(id: NodeId, to: NodeId): number {
    const appends = this.sent(id, 'append').filter((append) => append.to === to)
    return present(appends.at(-1), 'an append').message.session
  }

  /** All messages of a kind that `id` sent and that are still in the network, oldest first. */
  sent<Kind extends Message['kind']>(
    id: NodeId,
    kind: Kind
  ): readonly { to: NodeId; message: Extract<Message, { kind: Kind }> }[] {
    const found: { to: NodeId; message: Extract<Message, { kind: Kind }> }[] = []
    for (const { from, to, message } of this.network) {
      if (from === id && isOfKind(message, kind)) found.push({ to, message })
    }
    return found
  }

  leaders(): readonly Node[] {
    return [...this.nodes.values()].filter(
      (node) => node.isUp && node.raft.status().role === 'leader'
    )
  }

  propose(id: NodeId, text: string, ref = 1): Effects {
    const entries = [{ kind: ENTRY_KIND.write, payload: bytesOf(text) }]
    return this.step(id, { kind: 'propose', ref, entries })
  }

  /** The process ends; the first `kept` of its unfinished writes are on disk all the same. */
  crash(id: NodeId, kept = 0): void {
    const node = this.node(id)
    for (const write of node.writes.slice(0, kept)) node.disk.apply(write)
    const lostCount = Math.max(0, node.writes.length - kept)
    node.writes = []
    node.gated = []
    node.isUp = false
    this.hooks.onCrash?.(node, lostCount)
  }

  restart(id: NodeId): void {
    const node = this.node(id)
    assert(!node.isUp, 'it was stopped')
    node.raft = node.boots()
    this.tick(id)
    this.linkUp(id)
  }

  /** Every link of the node is new. */
  linkUp(id: NodeId): void {
    for (const other of this.nodes.values()) {
      if (other.id === id || !other.isUp) continue
      this.step(other.id, { kind: 'linkUp', id })
      if (this.node(id).isUp) this.step(id, { kind: 'linkUp', id: other.id })
    }
  }

  #send(from: Node, to: NodeId, message: Message): void {
    this.hooks.onSend?.(from, to, message)
    const transit = { from: from.id, to, message: decodeMessage(encodeMessage(message)) }
    if (!this.isLost(transit)) this.network.push(transit)
  }

  #completeAny(): boolean {
    for (const node of this.nodes.values()) {
      if (node.isUp && this.completeWrite(node.id)) return true
    }
    return false
  }

  #nextDue(): Node | null {
    let next: Node | null = null
    for (const node of this.nodes.values()) {
      if (node.isUp && (next === null || node.deadlineMs < next.deadlineMs)) next = node
    }
    return next
  }
}

// What must hold in every run, checked after every step (raft-pitfalls 3.4: I1–I5, I7, I8, I9 and
// linearizable reads). Everything here survives crashes: it is the world's memory, not a node's.

import b4a from 'b4a'
import { assert, present } from '../../lib/assert.ts'
import { hexOf } from '../../lib/encoding.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import { isJoint, votersOf } from '../../lib/raft/configuration.ts'
import type { Effects, Event, Status } from '../../lib/raft/effects.ts'
import { decodeConfiguration } from '../../lib/raft/encoding.ts'
import type { Entry, Index } from '../../lib/raft/entry.ts'
import { ENTRY_KIND } from '../../lib/raft/entry.ts'
import type { Message } from '../../lib/raft/message.ts'
import type { Cluster, Node } from './cluster.ts'

export class Oracles {
  readonly #cluster: Cluster
  /** term → who led it (I1) */
  readonly #leaders = new Map<number, NodeId>()
  /** index and term → hash, which covers everything before (I2) */
  readonly #hashes = new Map<string, string>()
  /** hash by index − 1: what any node ever committed (I3, I4) */
  readonly #committed: string[] = []
  /** voter and term → candidate, over all incarnations (I7) */
  readonly #votes = new Map<string, NodeId>()
  readonly #shownTerms = new Map<NodeId, number>()
  /** what each node last acknowledged to the leader of which term: the memory of the amnesia guard */
  readonly #acknowledged = new Map<NodeId, { readonly term: number; readonly index: Index }>()
  /** each node's log as its steps made it, durable or not (I9) */
  readonly #mirrors = new Map<NodeId, Entry[]>()
  /** reads not answered yet → what was committed when they came */
  readonly #reads = new Map<string, Index>()
  #before: Status | null = null
  readonly counts = { elections: 0, truncations: 0, joint: 0, jointElections: 0, lost: 0, reads: 0 }

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    for (const node of cluster.nodes.values()) this.#mirrors.set(node.id, [...node.disk.stored])
    cluster.hooks = {
      beforeStep: (node, event) => this.#beforeStep(node, event),
      afterStep: (node, _event, effects) => this.#afterStep(node, effects),
      onSend: (from, to, message) => this.#onSend(from, to, message),
      onCrash: (node) => this.#onCrash(node)
    }
  }

  get committedCount(): number {
    return this.#committed.length
  }

  #beforeStep(node: Node, event: Event): void {
    this.#before = node.raft.status()
    if (event.kind === 'read') {
      this.#reads.set(`${node.id}/${node.boot}/${event.ref}`, this.#committed.length)
    }
  }

  #afterStep(node: Node, effects: Effects): void {
    const before = present(this.#before, 'the status before')
    const after = node.raft.status()
    assert(effects.diverged === null, 'no log diverges')
    assert(effects.secondLeader === null, 'I1: nobody hears of a second leader')
    this.#checkWrite(node, before, effects)
    this.#checkLeader(node, before, after)
    if (after.commitIndex > before.commitIndex) this.#checkCommit(node, before, after)
    assert(after.commitIndex >= before.commitIndex, 'I8: commit never falls')
    assert(effects.commitIndex === after.commitIndex, 'effects name the commit index')
    this.#checkDisk(node, after)
    this.#checkConfiguration(node, after)
    for (const { ref, index } of effects.reads) {
      const floor = present(this.#reads.get(`${node.id}/${node.boot}/${ref}`), 'an asked read')
      assert(index >= floor, 'a read sees all that was committed before it')
      this.counts.reads++
    }
  }

  #checkWrite(node: Node, before: Status, { write }: Effects): void {
    if (write === null) return
    const mirror = present(this.#mirrors.get(node.id), 'a mirror')
    const durable = node.disk.hardState
    if (write.hardState !== null && durable !== null) {
      assert(write.hardState.term >= durable.term, 'I8: the durable term never falls')
      assert(write.hardState.commitIndex >= durable.commitIndex, 'I8: nor the durable commit')
    }
    if (write.truncateFrom !== null) {
      assert(write.truncateFrom > before.commitIndex, 'I8: nothing committed is truncated')
      mirror.length = write.truncateFrom - 1
      this.counts.truncations++
    }
    for (const entry of write.entries) {
      const key = `${entry.index}/${entry.term}`
      const hash = hexOf(entry.hash)
      assert((this.#hashes.get(key) ?? hash) === hash, 'I2: index and term name one log')
      this.#hashes.set(key, hash)
      assert(entry.index === mirror.length + 1, 'the log is contiguous')
      mirror.push(entry)
    }
  }

  #checkDisk({ id, disk }: Node, { onDisk }: Status): void {
    assert(onDisk.term === (disk.hardState?.term ?? 0), 'the durable term is the one on disk')
    assert(onDisk.lastIndex === disk.last.index, 'so is the last index')
    const { term, index } = this.#acknowledged.get(id) ?? { term: 0, index: 0 }
    const isKept = onDisk.term > term || (onDisk.term === term && onDisk.lastIndex >= index)
    assert(isKept, 'no node looks as if it had lost what it acknowledged')
  }

  #checkLeader(node: Node, before: Status, after: Status): void {
    if (after.role !== 'leader') return
    const known = this.#leaders.get(after.term)
    assert(known === undefined || known === node.id, 'I1: a term has one leader')
    if (known === node.id) return
    this.#leaders.set(after.term, node.id)
    this.counts.elections++
    if (isJoint(before.configuration)) this.counts.jointElections++
    const last = this.#committed.length
    if (last === 0) return
    const id = node.raft.idAt(last)
    const hash = typeof id === 'object' ? hexOf(id.hash) : id
    assert(hash === this.#committed[last - 1], 'I3: a leader holds all that was ever committed')
  }

  #checkCommit(node: Node, before: Status, after: Status): void {
    for (let index = before.commitIndex + 1; index <= after.commitIndex; index++) {
      const id = node.raft.idAt(index)
      assert(typeof id === 'object', 'what is committed is there')
      const hash = hexOf(id.hash)
      this.#committed[index - 1] ??= hash
      assert(this.#committed[index - 1] === hash, 'I4: one committed entry per index')
    }
    if (before.role !== 'leader') return
    const id = node.raft.idAt(after.commitIndex)
    assert(typeof id === 'object' && id.term === before.term, 'I5: only own terms are counted')
    const { outgoing } = before.configuration
    for (const set of [votersOf(before.configuration), outgoing]) {
      const holders = set.filter((voter) => {
        const stored = this.#cluster.node(voter).disk.idAt(after.commitIndex)
        return typeof stored === 'object' && b4a.equals(stored.hash, id.hash)
      })
      const isEnough = set.length === 0 || holders.length * 2 > set.length
      assert(isEnough, 'I5: a quorum of each set holds it durably')
    }
  }

  #checkConfiguration(node: Node, after: Status): void {
    const mirror = present(this.#mirrors.get(node.id), 'a mirror')
    if (mirror.length === this.#before?.lastIndex && this.#before.term === after.term) return
    const entries = mirror.filter((entry) => entry.kind === ENTRY_KIND.configuration)
    assert((entries.at(-1)?.index ?? 0) === after.configurationIndex, 'I9: the last one is in use')
    const last = entries.at(-1)
    const previous = entries.at(-2)
    if (last === undefined || previous === undefined) return
    const now = decodeConfiguration(last.payload)
    if (isJoint(now)) this.counts.joint++
    assert(
      follows(decodeConfiguration(previous.payload), now),
      'I9: quorums of neighbours intersect'
    )
  }

  #onSend(from: Node, to: NodeId, message: Message): void {
    if (message.kind === 'preVote') return
    const term = message.kind === 'preVoteAnswer' ? message.ownTerm : message.term
    assert(term >= (this.#shownTerms.get(from.id) ?? 0), 'I7: terms that a node shows never fall')
    // terms shown before a write completes may only be those that are on disk
    assert(term <= (from.disk.hardState?.term ?? 0), 'I7: a term is shown when it is durable')
    this.#shownTerms.set(from.id, term)
    if (message.kind === 'vote') this.#checkVote(from.id, term, from.id)
    if (message.kind === 'voteAnswer' && message.isGranted) this.#checkVote(from.id, term, to)
    if (message.kind === 'appendAnswer' && message.result.kind === 'matched') {
      const { matchIndex } = message.result
      assert(from.disk.last.index >= matchIndex, 'I7: only what is durable is acknowledged')
      const known = this.#acknowledged.get(from.id)
      const index = known?.term === term ? Math.max(known.index, matchIndex) : matchIndex
      this.#acknowledged.set(from.id, { term, index })
    }
  }

  #checkVote(voter: NodeId, term: number, candidate: NodeId): void {
    const key = `${voter}/${term}`
    assert((this.#votes.get(key) ?? candidate) === candidate, 'I7: one vote per voter and term')
    const durable = this.#cluster.node(voter).disk.hardState
    const isDurable = durable !== null && (durable.term > term || durable.votedFor === candidate)
    assert(isDurable, 'I7: a vote is shown when it is durable')
    this.#votes.set(key, candidate)
  }

  #onCrash(node: Node): void {
    const mirror = present(this.#mirrors.get(node.id), 'a mirror')
    if (mirror.length > node.disk.stored.length) this.counts.lost++
    this.#mirrors.set(node.id, [...node.disk.stored])
  }
}

/** Whether any quorum of `before` and any of `after` share a voter. */
function follows(before: Configuration, after: Configuration): boolean {
  const same = (a: readonly NodeId[], b: readonly NodeId[]): boolean => a.join() === b.join()
  if (isJoint(after)) return !isJoint(before) && same(after.outgoing, votersOf(before))
  return same(votersOf(before), votersOf(after))
}

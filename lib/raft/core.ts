// The state that all parts of the core share, and the few transitions that keep it consistent. Each
// part (election, follower, leader, replication) is a module of functions over it.

import { assert } from '../assert.ts'
import { MAX_TERM } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import { isNodeId } from '../node-id.ts'
import type { Random } from '../random.ts'
import { randomBelow } from '../random.ts'
import { Configurations } from './configurations.ts'
import type { IndexedConfiguration } from './configurations.ts'
import { Durability } from './durability.ts'
import type { Effects, HardState, Install, Now, Write } from './effects.ts'
import { decodeConfiguration } from './encoding.ts'
import type { Entry, Index, Term } from './entry.ts'
import { ENTRY_KIND } from './entry.ts'
import type { LogReader } from './log.ts'
import { RaftLog } from './log.ts'
import type { Message } from './message.ts'
import type { Promised } from './outbox.ts'
import { Outbox } from './outbox.ts'
import type { RoleState } from './roles.ts'
import type { SendLimits } from './send-limits.ts'
import { SEND_LIMITS } from './send-limits.ts'
import type { Timing } from './timing.ts'

export interface RaftOptions {
  readonly id: NodeId
  /** how often this node was started; greater at each start */
  readonly boot: number
  readonly timing: Timing
  readonly random: Random
  readonly log: LogReader
  /** SEND_LIMITS when left out */
  readonly limits?: SendLimits
}

/** What a start found on disk. */
export interface Restored {
  /** null on a node that never wrote one */
  readonly hardState: HardState | null
  /** every configuration of the stored log, ascending; the first may be the base's */
  readonly configurations: readonly IndexedConfiguration[]
  /** the last entry that the state machine holds */
  readonly appliedIndex: Index
}

export class Core {
  readonly id: NodeId
  readonly boot: number
  readonly timing: Timing
  readonly limits: SendLimits
  readonly log: RaftLog
  readonly durability: Durability
  readonly configurations: Configurations
  readonly #random: Random
  /** never falls; changes only in #setHardState */
  #term: Term
  /** set at most once per term (R2); changes only in #setHardState */
  #votedFor: NodeId | null
  /** never falls; at most the last index; changes only in commitTo */
  #commitIndex: Index
  /** the commit index of the last write that carried one */
  #writtenCommit: Index
  /** the highest index at which this term's leader proved to hold what we hold (R10) */
  provenIndex: Index = 0
  /** the latest heartbeat round of this term's leader; earlier ones are late */
  heardRound = 0
  /** the last one known to lead the present term, this node included; null until one is */
  leaderOfTerm: NodeId | null = null
  /** of the last message that was taken as one of a leader, of any term; never falls; for people and stale reads */
  leaderHeardMs: number | null = null
  /** who said besides that it leads the present term, and was reported; only members get so far */
  readonly #claimants = new Set<NodeId>()
  role: RoleState = { kind: 'follower', electionDeadlineMs: 0, leader: null }
  now: Now = { nowMs: 0, wallMs: 0 }
  outbox = new Outbox()
  #lastSession = 0
  #lastRound = 0

  constructor(options: RaftOptions, restored: Restored) {
    assert(isNodeId(options.id), 'a node has an id')
    assert(Number.isSafeInteger(options.boot) && options.boot > 0, 'boots are counted from 1')
    this.id = options.id
    this.boot = options.boot
    this.timing = options.timing
    this.limits = options.limits ?? SEND_LIMITS
    this.#random = options.random
    this.log = new RaftLog(options.log)
    const last = this.log.last
    this.#term = restored.hardState?.term ?? 0
    this.#votedFor = restored.hardState?.votedFor ?? null
    assert(last.term <= this.#term, 'no entry is of a later term than the hard state (R5)')
    const floor = Math.max(restored.hardState?.commitIndex ?? 0, restored.appliedIndex)
    this.#commitIndex = Math.min(Math.max(floor, this.log.base.index), last.index)
    this.#writtenCommit = restored.hardState?.commitIndex ?? 0
    this.durability = new Durability({ term: this.#term, lastIndex: last.index })
    this.configurations = new Configurations(restored.configurations)
    assert(this.configurations.index <= last.index, 'no configuration lies beyond the log')
    this.configurations.prune(this.#commitIndex)
  }

  get term(): Term {
    return this.#term
  }

  get votedFor(): NodeId | null {
    return this.#votedFor
  }

  get commitIndex(): Index {
    return this.#commitIndex
  }

  begin(now: Now): void {
    assert(now.nowMs >= this.now.nowMs, 'monotonic time does not go back')
    this.now = now
    this.outbox = new Outbox()
  }

  /** Makes the step's write, if anything must be durable, and its effects. */
  finish(deadlineMs: number): Effects {
    const write = this.#planWrite()
    const { durability, commitIndex } = this
    const effects = this.outbox.finish({ write, durability, commitIndex, deadlineMs })
    this.log.evict(durability.durableIndex)
    return effects
  }

  send(to: NodeId, message: Message, promised: Promised = 'term'): void {
    assert(to !== this.id, 'no node writes to itself')
    this.outbox.send(to, message, promised)
  }

  /** A later term was seen: the vote of the old one is over. */
  adoptTerm(term: Term): void {
    this.#setHardState(term, null)
  }

  /** Gives this node's vote of the present term, or of the next one to itself. */
  vote(term: Term, votedFor: NodeId): void {
    this.#setHardState(term, votedFor)
  }

  /** Becomes (or stays) a follower. Reads and a transfer of an ended leadership end with it. */
  becomeFollower(leader: NodeId | null): void {
    const before = this.role
    if (before.kind === 'leader') {
      for (const ref of before.reads.drain()) this.outbox.refuse(ref, 'notLeader')
    }
    const deadline =
      before.kind === 'leader' || leader !== null ? this.drawElection() : before.electionDeadlineMs
    const heard = leader === null ? null : { id: leader, heardMs: this.now.nowMs }
    if (leader !== null) this.leaderHeardMs = this.now.nowMs
    this.role = { kind: 'follower', electionDeadlineMs: deadline, leader: heard }
    this.leaderOfTerm = leader ?? this.leaderOfTerm
  }

  /** `id` speaks as the leader of the present term. Reports it if that is known to be another (R1). */
  hearClaim(id: NodeId): void {
    const { term, leaderOfTerm: leader } = this
    if (leader === null || leader === id || this.#claimants.has(id)) return
    this.#claimants.add(id)
    this.outbox.secondLeader = { term, leader, claimant: id }
  }

  /** A fresh election deadline: randomly spread, so that two nodes seldom start together (B17). */
  drawElection(): number {
    const { electionMinMs, electionMaxMs } = this.timing
    return this.now.nowMs + electionMinMs + randomBelow(this.#random, electionMaxMs - electionMinMs)
  }

  /** A deadline within `limitMs` from now. */
  drawWithin(limitMs: number): number {
    return this.now.nowMs + randomBelow(this.#random, limitMs)
  }

  append(entries: readonly Entry[]): void {
    this.log.append(entries)
    this.outbox.entries.push(...entries)
    for (const { kind, index, payload } of entries) {
      if (kind !== ENTRY_KIND.configuration) continue
      this.configurations.append({ index, configuration: decodeConfiguration(payload) })
    }
    assert(this.log.last.term <= this.#term, 'no entry is of a later term than the hard state (R5)')
  }

  /** Removes entries at and above `index`: uncommitted ones only (R3). */
  truncateFrom(index: Index): void {
    assert(index > this.#commitIndex, 'nothing committed is truncated (R3)')
    assert(this.outbox.entries.length === 0, 'a write truncates before it appends')
    this.log.truncateFrom(index)
    this.configurations.truncateFrom(index)
    this.outbox.truncateFrom = index
    this.provenIndex = Math.min(this.provenIndex, index - 1)
  }

  /** The log begins after this snapshot: what it contains is committed (R3, B35). */
  install(snapshot: Install): void {
    const { id, configuration, configurationIndex, keepsTail } = snapshot
    assert(id.index > this.#commitIndex, 'the commit index never falls (B36)')
    assert(id.term <= this.#term, 'no entry is of a later term than the hard state (R5)')
    this.outbox.install = { snapshot, commitIndex: this.#commitIndex }
    this.log.install(snapshot)
    const item = { index: configurationIndex, configuration }
    this.configurations.install(item, keepsTail ? id.index : null)
    // this term's leader holds whatever was committed before it, and what it committed itself (R14)
    this.provenIndex = keepsTail ? Math.max(this.provenIndex, id.index) : id.index
    this.commitTo(id.index)
  }

  /** Entries up to `index` are committed. */
  commitTo(index: Index): void {
    assert(index >= this.#commitIndex, 'the commit index never falls')
    assert(index <= this.log.last.index, 'only entries of the log are committed')
    this.#commitIndex = index
    this.configurations.prune(index)
  }

  nextSession(): number {
    return ++this.#lastSession
  }

  /** A round number that this boot never used before (R11). */
  nextRound(): number {
    return ++this.#lastRound
  }

  /** The one place where term and vote change (R2, B62). */
  #setHardState(term: Term, votedFor: NodeId | null): void {
    const isLater = term > this.#term
    assert(isLater || (term === this.#term && this.#votedFor === null), 'one vote in a term (R2)')
    assert(isLater || votedFor !== null, 'a vote is not taken back (B62)')
    assert(term <= MAX_TERM, 'the term is within its limit')
    this.#term = term
    this.#votedFor = votedFor
    if (isLater) {
      this.outbox.isTermNew = true
      this.provenIndex = 0
      this.heardRound = 0
      this.leaderOfTerm = null
      this.#claimants.clear()
    }
    this.outbox.isVoteNew ||= votedFor !== null
  }

  #planWrite(): Write | null {
    const { isTermNew, isVoteNew, install, truncateFrom, entries } = this.outbox
    const firstIndex = this.#firstChanged()
    if (!isTermNew && !isVoteNew && install === null && firstIndex === null) return null
    const lastIndex = this.log.last.index
    const { nowMs } = this.now
    const token = this.durability.start({
      firstIndex,
      lastIndex,
      term: this.#term,
      isTermNew,
      isVoteNew,
      nowMs
    })
    const isHardStateDue =
      isTermNew || isVoteNew || install !== null || this.#commitIndex > this.#writtenCommit
    if (isHardStateDue) this.#writtenCommit = this.#commitIndex
    return {
      token,
      hardState: isHardStateDue ? this.#hardState() : null,
      install: install?.snapshot ?? null,
      truncateFrom,
      entries
    }
  }

  /** The first index at which the step's write changes the log; null if it changes no entry. */
  #firstChanged(): Index | null {
    const { install, truncateFrom, entries } = this.outbox
    // where a dropped log differs is not known: at most what was committed is the same
    if (install !== null && !install.snapshot.keepsTail) return install.commitIndex + 1
    return truncateFrom ?? entries[0]?.index ?? null
  }

  #hardState(): HardState {
    return { term: this.#term, votedFor: this.#votedFor, commitIndex: this.#commitIndex }
  }
}

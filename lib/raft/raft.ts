// The door of the consensus core: one deterministic reducer. An event and the time go in, the
// effects come out; no clock, no randomness of its own, no I/O. README.md is the specification,
// effects.ts the contract with the driver.

import { assert, unreachable } from '../assert.ts'
import { MAX_TERM_JUMP } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import { onAppendAnswer, onHeartbeatAnswer } from './answers.ts'
import type { RaftOptions, Restored } from './core.ts'
import { Core } from './core.ts'
import type { Effects, Event, FollowerStatus, Now, Status } from './effects.ts'
import {
  hearsLeader,
  onElectionTimeout,
  onPreVote,
  onPreVoteAnswer,
  onVote,
  onVoteAnswer,
  onVoteDurable,
  repeatRequest
} from './election.ts'
import type { Entry, EntryId, Index } from './entry.ts'
import { onAppend, onHeartbeat, onTimeoutNow } from './follower.ts'
import { onInstall } from './install.ts'
import { maybeAdvanceCommit, onLeaderTick } from './leader.ts'
import type { Message } from './message.ts'
import { replicateTo } from './replication.ts'
import { onChange, onPropose, onRead, onTransfer } from './requests.ts'

export class Raft {
  readonly #core: Core
  /** false until the first step sets the election timer */
  #isStarted = false

  constructor(options: RaftOptions, restored: Restored) {
    this.#core = new Core(options, restored)
  }

  /** Takes one event at time `now`, which never goes back, and says what follows from it. */
  step(event: Event, now: Now): Effects {
    const core = this.#core
    core.begin(now)
    if (!this.#isStarted) this.#start()
    this.#take(event)
    assert(core.commitIndex <= core.log.last.index, 'only entries of the log are committed')
    return core.finish(this.#deadlineMs())
  }

  /** The index up to which entries may be applied. */
  get commitIndex(): Index {
    return this.#core.commitIndex
  }

  /**
   * Committed entries of [from, to), for applying: at least one if from < to, then up to `maxBytes`;
   * may end earlier. They need not be durable here: a quorum holds them.
   */
  entries(from: Index, to: Index, maxBytes: number): readonly Entry[] {
    assert(to <= this.#core.commitIndex + 1, 'only committed entries are handed out')
    return this.#core.log.entries(from, to, maxBytes)
  }

  /** What is known of the entry at `index`, committed or not. */
  idAt(index: Index): EntryId | 'compacted' | 'missing' {
    return this.#core.log.idAt(index)
  }

  status(): Status {
    const { role, term, commitIndex, log, durability, configurations, id } = this.#core
    const progress = new Map<NodeId, FollowerStatus>()
    if (role.kind === 'leader') {
      for (const [member, follower] of role.progress) progress.set(member, follower.status())
    }
    const leader = role.kind === 'follower' ? (role.leader?.id ?? null) : null
    return {
      role: role.kind,
      term,
      leader: role.kind === 'leader' ? id : leader,
      leaderHeardMs: this.#core.leaderHeardMs,
      commitIndex,
      lastIndex: log.last.index,
      lastTerm: log.last.term,
      durableIndex: durability.durableIndex,
      onDisk: durability.onDisk,
      configuration: configurations.current,
      configurationIndex: configurations.index,
      logTimeMs:
        role.kind === 'leader'
          ? role.clock.read(configurations.voters.incoming, this.#core.now)
          : log.lastTimeMs,
      wrongClocks:
        role.kind === 'leader'
          ? role.clock.wrong(configurations.voters.incoming, this.#core.now)
          : [],
      transferTarget: role.kind === 'leader' ? (role.transfer?.target ?? null) : null,
      progress
    }
  }

  #start(): void {
    const { role } = this.#core
    assert(role.kind === 'follower', 'every node starts as a follower')
    role.electionDeadlineMs = this.#core.drawElection()
    this.#isStarted = true
  }

  #take(event: Event): void {
    const core = this.#core
    switch (event.kind) {
      case 'tick':
        return this.#onTick()
      case 'message':
        return this.#onMessage(event.from, event.message)
      case 'durable':
        return this.#onDurable(event.token)
      case 'propose':
        return onPropose(core, event)
      case 'change':
        return onChange(core, event)
      case 'read':
        return onRead(core, event)
      case 'transfer':
        return onTransfer(core, event)
      case 'linkUp':
        return this.#onLinkUp(event.id)
      case 'leaderLinkLost':
        return this.#onLeaderLinkLost(event.id)
      case 'install':
        return onInstall(core, event.snapshot)
      default:
        return unreachable(event)
    }
  }

  #onTick(): void {
    const core = this.#core
    const { role } = core
    if (role.kind === 'leader') return onLeaderTick(core, role)
    // a sole voter waits for nobody
    const isSole = role.kind === 'follower' && core.configurations.isSoleVoter(core.id)
    if (isSole || core.now.nowMs >= role.electionDeadlineMs) onElectionTimeout(core)
  }

  #onDurable(token: number): void {
    const core = this.#core
    core.durability.complete(token)
    onVoteDurable(core)
    if (core.role.kind === 'leader') maybeAdvanceCommit(core, core.role)
  }

  /** Settles the term first (README, "Terms"); then each message has its own handler. */
  #onMessage(from: NodeId, message: Message): void {
    const core = this.#core
    assert(from !== core.id, 'no node writes to itself')
    // the terms of pre-votes are hypothetical: nobody adopts or refuses them
    if (message.kind === 'preVote') return onPreVote(core, from, message)
    const term = message.kind === 'preVoteAnswer' ? message.ownTerm : message.term
    if (term - core.term > MAX_TERM_JUMP) return
    if (term > core.term) {
      const isLeaderHeard = message.kind === 'vote' && hearsLeader(core, from)
      if (message.kind === 'vote' && isLeaderHeard && !message.isTransfer) return
      core.adoptTerm(term)
      core.becomeFollower(null)
    }
    if (message.kind === 'preVoteAnswer') return onPreVoteAnswer(core, from, message)
    if (term < core.term) return this.#onEarlierTerm(from, message)
    this.#onPresentTerm(from, message)
  }

  #onPresentTerm(
    from: NodeId,
    message: Exclude<Message, { kind: 'preVote' | 'preVoteAnswer' }>
  ): void {
    const core = this.#core
    assert(message.term === core.term, 'the term is settled')
    switch (message.kind) {
      case 'vote':
        return onVote(core, from, message)
      case 'voteAnswer':
        return onVoteAnswer(core, from, message)
      case 'append':
        return onAppend(core, from, message)
      case 'appendAnswer':
        return onAppendAnswer(core, from, message)
      case 'heartbeat':
        return onHeartbeat(core, from, message)
      case 'heartbeatAnswer':
        return onHeartbeatAnswer(core, from, message)
      case 'timeoutNow':
        return onTimeoutNow(core, from)
      default:
        return unreachable(message)
    }
  }

  /** Requests of an earlier term are answered with the present one, so that the sender follows. */
  #onEarlierTerm(from: NodeId, message: Message): void {
    const core = this.#core
    const { term } = core
    if (message.kind === 'vote') core.send(from, { kind: 'voteAnswer', term, isGranted: false })
    if (message.kind === 'heartbeat') {
      const { boot, round } = message
      core.send(from, { kind: 'heartbeatAnswer', term, boot, round, wallMs: core.now.wallMs })
    }
    if (message.kind === 'append') {
      const { session, previousIndex } = message
      const result = { kind: 'rejected', previousIndex, hintIndex: 0, hintTerm: 0 } as const
      core.send(from, { kind: 'appendAnswer', term, session, result })
    }
  }

  #onLinkUp(id: NodeId): void {
    const core = this.#core
    assert(id !== core.id, 'no node has a link to itself')
    repeatRequest(core, id)
    if (core.role.kind !== 'leader') return
    const progress = core.role.progress.get(id)
    if (progress === undefined) return
    progress.restart(core.nextSession())
    replicateTo(core, id, progress)
  }

  #onLeaderLinkLost(id: NodeId): void {
    const core = this.#core
    const { role } = core
    if (role.kind !== 'follower' || role.leader?.id !== id) return
    role.leader = null
    const soonMs = core.drawWithin(4 * core.timing.heartbeatMs)
    role.electionDeadlineMs = Math.min(role.electionDeadlineMs, soonMs)
  }

  #deadlineMs(): number {
    const { role } = this.#core
    if (role.kind !== 'leader') return role.electionDeadlineMs
    const { heartbeatDueMs, noticeDueMs, transfer } = role
    return Math.min(
      heartbeatDueMs,
      noticeDueMs ?? heartbeatDueMs,
      transfer?.deadlineMs ?? heartbeatDueMs
    )
  }
}

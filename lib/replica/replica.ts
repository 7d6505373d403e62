// The loop: the one place where decisions of the consensus core become I/O. Inputs (proposals, reads,
// messages, completed writes, timers) are handed to the core one at a time; its effects go to the log
// store, to other members and to the state machine in the order that effects.ts demands; what the
// state machine has applied settles proposals and answers reads.
//
// Group commit: while a log write is in progress, proposals wait; the next write takes all of them.
//
// There is no `async` here and no promise: every port completes by callback, never synchronously, so
// one step is never entered from within another. The first storage error ends the replica: nothing
// is sent, written or answered after it (B64).

import { assert } from '../assert.ts'
import type { Clock, Timers } from '../clock.ts'
import { AspenError } from '../errors.ts'
import type { LogStore } from '../log-store/log-store.ts'
import type { NodeId } from '../node-id.ts'
import type { ConfigurationChange } from '../raft/configuration.ts'
import type { Effects, Event, Outgoing, SecondLeader, Status, Token } from '../raft/effects.ts'
import type { Entry, Index } from '../raft/entry.ts'
import type { Message } from '../raft/message.ts'
import type {
  ApplyResult,
  PreparedSnapshot,
  SnapshotInfo,
  StateMachine
} from '../state-machine/state-machine.ts'
import { Applier } from './applier.ts'
import type { ConsensusCore } from './consensus-core.ts'
import { Deadline } from './deadline.ts'
import { Durations } from './durations.ts'
import type { ReplicaObserver } from './durations.ts'
import { failDiverged } from './divergence.ts'
import { Installation } from './installation.ts'
import type { OnInstalled } from './installation.ts'
import { Proposals } from './proposals.ts'
import { Questions } from './questions.ts'
import type { Asked } from './questions.ts'
import type { Outcome, Proposal, Refusal } from './proposals.ts'
import { WaitingReads } from './waiting-reads.ts'
import type { OnRead } from './waiting-reads.ts'

export interface ReplicaParts {
  readonly id: NodeId
  readonly core: ConsensusCore
  readonly log: LogStore
  readonly stateMachine: StateMachine
  readonly clock: Clock
  readonly timers: Timers
  readonly send: (to: NodeId, message: Message) => void
  /** role, term, leader or configuration changed */
  readonly onStatus: (status: Status) => void
  /** a member claims a term that another one leads; for people: the node goes on */
  readonly onSecondLeader: (found: SecondLeader) => void
  /** after the transaction that holds them */
  readonly onApplied: (entries: readonly Entry[], results: readonly ApplyResult[]) => void
  /** entries that stay in the log behind a snapshot of this node */
  readonly keepEntries: Index
  /** proposals that may wait here; MAX_PENDING_PROPOSALS when left out */
  readonly maxPendingProposals?: number | undefined
  /** followers whose next entry is not in this leader's log any more; named again while they are */
  readonly onSnapshotsNeeded: (ids: readonly NodeId[]) => void
  /** a snapshot of this node is durable, after so long; null: it could not be made */
  readonly onSnapshot: (snapshot: SnapshotInfo | null, durationMs: number) => void
  /** null: nothing is counted */
  readonly observer: ReplicaObserver | null
  /** once; the process must end */
  readonly onFailed: (error: AspenError) => void
}

export class Replica {
  readonly #parts: ReplicaParts
  readonly #proposals: Proposals
  readonly #questions = new Questions()
  /** leave when their write is durable, in the order in which the core said them */
  readonly #gated: (Outgoing & { readonly token: Token })[] = []
  readonly #reads = new WaitingReads()
  #status: Status
  readonly #deadline: Deadline
  /** tokens of the last write handed to the store and of the last durable one */
  #writtenToken: Token = 0
  #durableToken: Token = 0
  readonly #applier: Applier
  readonly #installation: Installation
  readonly #durations: Durations
  #isStepping = false
  /** what is proposed in one turn of the event loop goes together */
  #isFlushDue = false
  #isPaused = false
  #state: 'running' | 'ended' = 'running'

  constructor(parts: ReplicaParts) {
    this.#parts = parts
    this.#status = parts.core.status()
    this.#proposals = new Proposals(parts.maxPendingProposals)
    const { stateMachine, log, keepEntries, core, onSnapshot, clock, timers } = parts
    this.#durations = new Durations(clock, parts.observer)
    this.#deadline = new Deadline(clock, timers, () => this.#step({ kind: 'tick' }))
    this.#applier = new Applier({
      stateMachine,
      log,
      keepEntries,
      clock,
      entries: (from, to, maxBytes) => core.entries(from, to, maxBytes),
      readyIndex: () => Math.min(this.#status.commitIndex, this.#status.durableIndex),
      onApplied: (entries, results) => this.#onApplied(entries, results),
      onSnapshot,
      onFailed: (error) => this.#fail(error)
    })
    this.#installation = new Installation(this.#applier, (snapshot) => {
      this.#step({ kind: 'install', snapshot })
    })
  }

  /** Begins: from now on timers run. Call once, after the transport can send. */
  start(): void {
    this.#step({ kind: 'tick' })
    // what an earlier run may have left
    this.#applier.maybeCompact()
  }

  /** As of the last step. */
  get status(): Status {
    return this.#status
  }

  get appliedIndex(): Index {
    return this.#applier.appliedIndex
  }

  get pendingProposalCount(): number {
    return this.#proposals.pendingCount
  }

  /** For how long the oldest write to the log, and the batch that is being applied, have been under way; 0 for none. */
  get waits(): { readonly writeMs: number; readonly applyMs: number } {
    return { writeMs: this.#durations.writeMs, applyMs: this.#applier.applyMs }
  }

  /** Proposes an entry on the leader. `onOutcome` is called once, never synchronously. */
  propose(proposal: Proposal): void {
    const { timers } = this.#parts
    if (this.#state === 'ended') {
      timers.soon(() => proposal.onOutcome({ kind: 'refused', reason: 'closing' }))
    } else if (this.#isPaused) {
      timers.soon(() => proposal.onOutcome({ kind: 'refused', reason: 'transferring' }))
    } else if (!this.#proposals.maybeAdd(proposal)) {
      timers.soon(() => proposal.onOutcome({ kind: 'refused', reason: 'overloaded' }))
    } else if (!this.#isFlushDue) {
      this.#isFlushDue = true
      timers.soon(() => {
        this.#isFlushDue = false
        this.#maybeProposeNext()
      })
    }
  }

  /** A change of the configuration; `done` when its first entry is applied (the joint one, if joint). */
  change(change: ConfigurationChange, onOutcome: (outcome: Outcome) => void): void {
    const proposal: Proposal = { kind: 0, payload: EMPTY, onOutcome }
    this.#ask({ kind: 'batch', batch: [proposal] }, (ref) => ({ kind: 'change', ref, change }))
  }

  /** A linearizable read: `ready` once this node has applied all that was committed before the call. Leader only. */
  read(onOutcome: OnRead): void {
    this.#askRead({ kind: 'read', isLocal: true, onOutcome })
  }

  /** The index that a read on another node must have applied there: `ready` when it is confirmed. Leader only. */
  readIndex(onOutcome: OnRead): void {
    this.#askRead({ kind: 'read', isLocal: false, onOutcome })
  }

  /** `ready` when `index` is applied here; for reads whose index the leader has confirmed. Returns how to give up. */
  waitApplied(index: Index, onOutcome: OnRead): () => void {
    const reason = this.#whyNoRead()
    if (reason !== null) {
      this.#parts.timers.soon(() => onOutcome({ kind: 'refused', reason }))
      return () => {}
    }
    this.#parts.timers.soon(() => this.#reads.answer(this.appliedIndex))
    return this.#reads.add(index, onOutcome)
  }

  /** While it is on, new proposals are refused as `transferring`, so that those before get settled. */
  pauseProposals(isOn: boolean): void {
    this.#isPaused = isOn
  }

  /** Hands leadership over; null when it was begun. The core picks nothing: name a caught-up voter. */
  transfer(target: NodeId, onAnswer: (reason: Refusal | null) => void): void {
    this.#ask({ kind: 'transfer', onAnswer }, (ref) => ({ kind: 'transfer', ref, target }))
  }

  /**
   * Puts a fetched snapshot in the place of what this node has applied, unless the node has got beyond it
   * meanwhile. `onEnded` once: whether it was adopted; not when the node ends. One at a time.
   */
  install(prepared: PreparedSnapshot, onEnded: OnInstalled): void {
    this.#parts.timers.soon(() => {
      if (this.#state === 'ended') return
      this.#installation.begin(prepared, (isAdopted) => {
        if (isAdopted) this.#proposals.onInstalled(prepared.info.index)
        this.#reads.answer(this.appliedIndex)
        onEnded(isAdopted)
      })
    })
  }

  onMessage(from: NodeId, message: Message): void {
    this.#step({ kind: 'message', from, message })
  }

  onLinkUp(id: NodeId): void {
    this.#step({ kind: 'linkUp', id })
  }

  /** No path to a member is left, and none has come back: if it led, it is not heard any more. */
  onLinkLost(id: NodeId): void {
    if (this.#status.leader === id) this.#step({ kind: 'leaderLinkLost', id })
  }

  /**
   * Ends: nothing is sent or written any more; what waits is answered, now. The ports are closed by
   * their owner. May be called twice.
   */
  close(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#applier.end()
    this.#installation.end()
    this.#deadline.clear()
    this.#gated.length = 0
    const { soon, asked } = this.#questions.takeAll()
    for (const one of soon) this.#refuse(one, 'closing')
    for (const one of asked) this.#endAsked(one)
    this.#proposals.endAll()
    this.#reads.endAll()
  }

  #askRead(asked: Asked & { readonly kind: 'read' }): void {
    const reason = this.#whyNoRead()
    if (reason !== null) {
      this.#parts.timers.soon(() => this.#refuse(asked, reason))
      return
    }
    this.#reads.onAsked()
    this.#ask(asked, (ref) => ({ kind: 'read', ref }))
  }

  #whyNoRead(): Refusal | null {
    if (this.#state === 'ended') return 'closing'
    return this.#reads.isFull ? 'overloaded' : null
  }

  #ask(asked: Asked, eventOf: (ref: number) => Event): void {
    if (this.#state === 'ended') {
      this.#parts.timers.soon(() => this.#refuse(asked, 'closing'))
      return
    }
    const ref = this.#questions.announce(asked)
    this.#parts.timers.soon(() => {
      if (this.#questions.maybeBegin(ref)) this.#step(eventOf(ref))
    })
  }

  #maybeProposeNext(): void {
    if (this.#state === 'ended' || this.#proposals.waitingCount === 0) return
    if (this.#durableToken < this.#writtenToken) return
    const batch = this.#proposals.takeBatch()
    const ref = this.#questions.begin({ kind: 'batch', batch })
    this.#step({ kind: 'propose', ref, entries: batch })
  }

  #step(event: Event): void {
    if (this.#state === 'ended') return
    assert(!this.#isStepping, 'ports never complete synchronously')
    this.#isStepping = true
    let isWriteBegun = false
    try {
      const { core, clock } = this.#parts
      const effects = core.step(event, { nowMs: clock.nowMs(), wallMs: clock.wallMs() })
      this.#carryOut(effects)
      isWriteBegun = effects.write !== null
      this.#answer(effects)
      this.#observe()
      this.#installation.onAnswer(effects)
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#isStepping = false
    }
    this.#reads.answer(this.appliedIndex)
    this.#maybeProposeNext()
    // others wait for a write that begins now; that it is durable is the next step at the latest
    if (!isWriteBegun) this.#applier.maybeApply()
  }

  /** Writes and messages, in the order of the contract. */
  #carryOut(effects: Effects): void {
    const { diverged, secondLeader, write, snapshotsNeeded } = effects
    if (diverged !== null) failDiverged(this.#parts.id, this.#parts.log, diverged)
    if (secondLeader !== null) this.#parts.onSecondLeader(secondLeader)
    if (write !== null) {
      assert(write.token > this.#writtenToken, 'writes are handed over in token order')
      this.#writtenToken = write.token
      this.#durations.onWrite()
      this.#parts.log.write(write, () => this.#onDurable(write.token))
    }
    for (const { to, message } of effects.messages) this.#parts.send(to, message)
    for (const outgoing of effects.gated) {
      assert(outgoing.token > this.#durableToken, 'a message waits for a write in progress')
      this.#gated.push(outgoing)
    }
    if (snapshotsNeeded.length > 0) this.#parts.onSnapshotsNeeded(snapshotsNeeded)
    this.#deadline.set(effects.deadlineMs)
  }

  #onDurable(token: Token): void {
    if (this.#state === 'ended') return
    assert(token > this.#durableToken, 'writes become durable in order')
    this.#durableToken = token
    this.#durations.onDurable()
    const gated = this.#gated.splice(0)
    for (const outgoing of gated) {
      if (outgoing.token > token) this.#gated.push(outgoing)
      else this.#parts.send(outgoing.to, outgoing.message)
    }
    this.#step({ kind: 'durable', token })
    this.#installation.onDurable(token)
  }

  #answer(effects: Effects): void {
    for (const { ref, term, from, to } of effects.proposed) {
      const asked = this.#takeAsked(ref)
      this.#durations.onAppended(from, to)
      if (asked.kind === 'batch') this.#proposals.onAppended(asked.batch, term, from)
      if (asked.kind === 'transfer') asked.onAnswer(null)
    }
    for (const { ref, reason } of effects.refused) {
      this.#refuse(this.#takeAsked(ref), reason)
    }
    for (const { ref, index } of effects.reads) {
      const asked = this.#takeAsked(ref)
      assert(asked.kind === 'read', 'a read answers a read')
      if (asked.isLocal) this.#reads.add(index, asked.onOutcome)
      else asked.onOutcome({ kind: 'ready', index })
    }
  }

  #takeAsked(ref: number): Asked {
    const asked = this.#questions.take(ref)
    if (asked.kind === 'read') this.#reads.onAnswered()
    return asked
  }

  #observe(): void {
    const before = this.#status
    this.#status = this.#parts.core.status()
    const after = this.#status
    this.#durations.onStatus(after)
    const isSame =
      before.role === after.role &&
      before.term === after.term &&
      before.leader === after.leader &&
      before.configuration === after.configuration
    if (!isSame) this.#parts.onStatus(after)
  }

  #onApplied(entries: readonly Entry[], results: readonly ApplyResult[]): void {
    this.#durations.onApplied(entries.length, this.#applier.lastBeganMs)
    entries.forEach((entry, position) => {
      this.#proposals.onApplied(entry, results[position] ?? { kind: 'none' })
    })
    this.#reads.answer(this.appliedIndex)
    this.#parts.onApplied(entries, results)
  }

  #refuse(asked: Asked, reason: Refusal): void {
    if (asked.kind === 'batch') this.#proposals.onRefused(asked.batch, reason)
    if (asked.kind === 'read') asked.onOutcome({ kind: 'refused', reason })
    if (asked.kind === 'transfer') asked.onAnswer(reason)
  }

  /** The core had it when the node ended: only of a proposal it matters how far it got. */
  #endAsked(asked: Asked): void {
    if (asked.kind === 'batch') this.#proposals.onUnanswered(asked.batch)
    else this.#refuse(asked, 'closing')
  }

  #fail(error: unknown): void {
    if (!(error instanceof AspenError)) throw error
    this.close()
    this.#parts.onFailed(error)
  }
}

const EMPTY = new Uint8Array(0)

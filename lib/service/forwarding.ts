// Every command and every read works on every node: here it goes to the leader, wherever that is, in
// one hop, and never further: a node that is asked and does not lead says so. What has not left this
// node waits for the next leader until its deadline. So does what has left and is not answered: each
// command has an id, and whoever applies it a second time gives the first answer. Only a command that
// has left and is not answered at its deadline is unknown.

import type { Timer } from '../clock.ts'
import { encode } from '../encoding.ts'
import type { AspenError } from '../errors.ts'
import { asAspenError } from '../errors.ts'
import { MAX_PENDING_PROPOSAL_BYTES, MAX_PENDING_PROPOSALS, MAX_PENDING_READS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Status } from '../raft/effects.ts'
import type { Index } from '../raft/entry.ts'
import type { Outcome, Refusal } from '../replica/proposals.ts'
import type { LeaderAnswer, LeaderRequest, LogPosition, ProposedEntry } from './encoding.ts'
import { leaderAnswer } from './encoding.ts'
import type { ForwarderParts } from './forwarder-parts.ts'
import {
  overloadedError,
  rejectedError,
  timeoutError,
  unansweredError,
  unavailableError,
  unknownError
} from './forwarding-errors.ts'
import type { Attempt, ReadAttempt } from './leader-lane.ts'
import { LeaderLane, readAttemptOfOutcome } from './leader-lane.ts'
import { askLog } from './ask-member.ts'
import { RequestIds } from './request-ids.ts'
import { requestFrom } from './sender.ts'
import { Submission } from './submission.ts'
import type { MakeEntry, Submitted } from './submission.ts'

/** Until when a caller waits, and what it said: `timeoutMs` is for people. */
interface Deadline {
  readonly atMs: number
  readonly timeoutMs: number
}

export class Forwarder {
  readonly #parts: ForwarderParts
  readonly #requestIds: RequestIds
  readonly #waitingForLeader = new Set<() => void>()
  /** how often something about the leader has changed */
  #changeCount = 0
  #lane: LeaderLane | null = null
  /** callers that have no answer: at most MAX_PENDING_PROPOSALS of MAX_PENDING_PROPOSAL_BYTES in all */
  #submitCount = 0
  #submitBytes = 0
  /** likewise, at most MAX_PENDING_READS */
  #readCount = 0
  #isClosed = false

  constructor(parts: ForwarderParts) {
    this.#parts = parts
    const { random, replica } = parts
    this.#requestIds = new RequestIds({ random, appliedIndex: () => replica.appliedIndex })
  }

  /**
   * Proposes an entry on the leader, and on the next one if that is lost, and resolves when it is applied
   * there, once. `makeEntry` is called once as a rule, and again if the cluster has forgotten this node's
   * requests before it took this one.
   * @throws KeyValueStoreError UNAVAILABLE, OVERLOADED, DISK_SPACE_INSUFFICIENT, STORE_FULL (nothing
   * happened), TIMEOUT, OUTCOME_UNKNOWN
   */
  async submit(makeEntry: MakeEntry, timeoutMs: number): Promise<Submitted> {
    const { maxPendingProposals = MAX_PENDING_PROPOSALS } = this.#parts
    if (this.#submitCount >= maxPendingProposals) throw overloadedError('this node')
    const submission = new Submission(this.#requestIds, makeEntry)
    const { byteLength } = submission.entry.payload
    this.#submitCount++
    this.#submitBytes += byteLength
    try {
      if (this.#submitBytes > MAX_PENDING_PROPOSAL_BYTES) throw overloadedError('this node')
      return await this.#submit(submission, this.#deadlineIn(timeoutMs))
    } catch (error) {
      this.#parts.observer?.onSubmitFailed(asAspenError(error).code)
      throw error
    } finally {
      submission.end()
      this.#submitCount--
      this.#submitBytes -= byteLength
    }
  }

  /**
   * Resolves with an index that this node has applied and that is at least everything committed
   * before the call.
   * @throws KeyValueStoreError UNAVAILABLE, OVERLOADED
   */
  async confirmRead(timeoutMs: number): Promise<Index> {
    const { clock, observer } = this.#parts
    if (this.#readCount >= MAX_PENDING_READS) throw overloadedError('this node')
    this.#readCount++
    try {
      const beganMs = clock.nowMs()
      const index = await this.#confirmRead(this.#deadlineIn(timeoutMs))
      observer?.onReadConfirmed(clock.nowMs() - beganMs)
      return index
    } finally {
      this.#readCount--
    }
  }

  /** Resolves with what this node has applied, once that is `index` or more. @throws KeyValueStoreError UNAVAILABLE */
  async waitApplied(index: Index, timeoutMs: number): Promise<Index> {
    return await this.#waitApplied(index, this.#deadlineIn(timeoutMs))
  }

  /** What this node has. */
  ownLog(): LogPosition {
    const { lastTerm, lastIndex, commitIndex } = this.#parts.replica.status
    return { lastTerm, lastIndex, commitIndex, appliedIndex: this.#parts.replica.appliedIndex }
  }

  /** What the member has; null when it does not say within ASK_LOG_MS. */
  async logOf(member: NodeId): Promise<LogPosition | null> {
    return member === this.#parts.id ? this.ownLog() : await askLog(this.#parts, member)
  }

  /** Commands that have no answer yet. */
  get pendingCount(): number {
    return this.#submitCount
  }

  get isOpen(): boolean {
    return !this.#isClosed
  }

  /** What reads of this node alone need too. @throws KeyValueStoreError UNAVAILABLE */
  checkOpen(): void {
    if (this.#isClosed) throw unavailableError(null, 'this node is closing')
  }

  /** Role, term or leader changed. */
  onStatus(status: Status): void {
    const isSame = status.leader !== null && this.#lane?.isFor(status.leader, status.term)
    if (isSame !== true) this.#endLane()
    this.#wake()
  }

  onLinkUp(): void {
    this.#wake()
  }

  /**
   * The member `from` asks this node as the leader. What cannot be read, or is not the asker's to propose,
   * is rejected as a whole. After its end this node is silent: the asker notices that the link is gone.
   */
  onRequest(from: NodeId, payload: Uint8Array, answer: (payload: Uint8Array) => void): void {
    if (this.#isClosed) return
    const send = (value: LeaderAnswer): void => answer(encode(leaderAnswer, value))
    const request = requestFrom(from, payload)
    if (request === null) send({ kind: 'rejected' })
    else if (request.kind === 'propose') this.#proposeFor(request, send)
    else if (request.kind === 'askDisk') send({ kind: 'disk', hasSpace: this.#parts.hasSpace() })
    else if (request.kind === 'askLog') send({ kind: 'log', ...this.ownLog() })
    else if (request.kind === 'operate')
      void this.#operate(from, request, send) // it answers what goes wrong
    else this.#parts.replica.readIndex((outcome) => send({ kind: 'readAnswer', outcome }))
  }

  async #operate(
    from: NodeId,
    { operation, timeoutMs }: LeaderRequest & { readonly kind: 'operate' },
    send: (answer: LeaderAnswer) => void
  ): Promise<void> {
    const end = await this.#parts.operate(operation, timeoutMs, from)
    if (!this.#isClosed) send({ kind: 'operated', end })
  }

  /** Everybody who waits is answered. May be called twice. */
  close(): void {
    this.#isClosed = true
    this.#endLane()
    this.#wake()
  }

  async #submit(submission: Submission, deadline: Deadline): Promise<Submitted> {
    for (;;) {
      this.#checkTime(deadline, submission)
      const seenCount = this.#changeCount
      let withdraw = (): boolean => false
      const attempt = await this.#within<Attempt>(deadline, (onEnd) => {
        withdraw = this.#tryPropose(submission.entry, deadline.atMs, onEnd)
      })
      if (attempt === 'deadline') {
        if (!withdraw()) submission.doubt()
        throw this.#outOfTime(deadline, submission)
      }
      const end = submission.settle(attempt)
      if (end === 'again') await this.#waitForLeader(deadline, seenCount)
      else if (end !== 'renewed') return end
    }
  }

  async #confirmRead(deadline: Deadline): Promise<Index> {
    for (;;) {
      this.#checkTime(deadline, null)
      const seenCount = this.#changeCount
      const attempt = await this.#within<ReadAttempt>(deadline, (onEnd) => this.#tryRead(onEnd))
      if (attempt === 'deadline') throw this.#unavailable(deadline)
      if (attempt.kind === 'overloaded') throw overloadedError('the leader')
      if (attempt.kind === 'rejected') throw rejectedError()
      if (attempt.kind === 'index') return await this.#waitApplied(attempt.index, deadline)
      await this.#waitForLeader(deadline, seenCount)
    }
  }

  /** Returns how to take the proposal back: true if it had not left yet, so that nothing happens. */
  #tryPropose(
    entry: ProposedEntry,
    deadlineMs: number,
    onEnd: (attempt: Attempt) => void
  ): () => boolean {
    const { replica } = this.#parts
    if (replica.status.role === 'leader') {
      this.#propose(entry, (outcome) => onEnd({ kind: 'settled', outcome }))
      return () => false
    }
    const lane = this.#laneToLeader()
    if (lane !== null) this.#parts.observer?.onForwarded(entry.kind)
    if (lane !== null) return lane.propose({ entry, deadlineMs, onEnd })
    onEnd({ kind: 'again' })
    return () => true
  }

  #tryRead(onEnd: (attempt: ReadAttempt) => void): void {
    const { replica } = this.#parts
    if (replica.status.role === 'leader') {
      replica.read((outcome) => onEnd(readAttemptOfOutcome(outcome)))
      return
    }
    const lane = this.#laneToLeader()
    if (lane !== null) this.#parts.observer?.onForwarded('read')
    if (lane === null) onEnd({ kind: 'again' })
    else lane.readIndex(onEnd)
  }

  #laneToLeader(): LeaderLane | null {
    const { replica, request, clock, timers, id } = this.#parts
    const { leader, term } = replica.status
    if (leader === null || leader === id || this.#isClosed) return null
    if (this.#lane?.isFor(leader, term) !== true) {
      this.#endLane()
      this.#lane = new LeaderLane({ leader, term, clock, timers, request })
    }
    return this.#lane
  }

  #endLane(): void {
    this.#lane?.end()
    this.#lane = null
  }

  /** On the leader: each proposal on its own; one answer when all are settled or the time is over. */
  #proposeFor(
    request: LeaderRequest & { readonly kind: 'propose' },
    send: (answer: LeaderAnswer) => void
  ): void {
    const { timers } = this.#parts
    const outcomes: Outcome[] = request.proposals.map(() => ({ kind: 'unknown' }))
    let leftCount = outcomes.length
    let isSent = false
    const finish = (): void => {
      if (isSent) return
      isSent = true
      timer.cancel()
      send({ kind: 'outcomes', outcomes })
    }
    const timer = timers.start(request.timeoutMs, finish)
    if (leftCount === 0) finish()
    request.proposals.forEach((entry, position) => {
      this.#propose(entry, (outcome) => {
        outcomes[position] = outcome
        leftCount--
        if (leftCount === 0) finish()
      })
    })
  }

  /** On the leader, unless the gate refuses it; a refusal may come at once. */
  #propose(entry: ProposedEntry, onOutcome: (outcome: Outcome) => void): void {
    const reason = this.#parts.gate.refusalOf(entry)
    if (reason !== null) onOutcome({ kind: 'refused', reason })
    else this.#parts.replica.propose({ ...entry, onOutcome })
  }

  /**
   * Waits until something about the leader changes, or has changed since `seenCount`; not beyond the
   * deadline, and while a leader is known at most RETRY_MS.
   */
  async #waitForLeader({ atMs }: Deadline, seenCount: number): Promise<void> {
    if (this.#isClosed || this.#changeCount !== seenCount) return
    const { clock, timers, replica } = this.#parts
    const leftMs = Math.max(0, atMs - clock.nowMs())
    const waitMs = replica.status.leader === null ? leftMs : Math.min(leftMs, RETRY_MS)
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waitingForLeader.delete(done)
        timer.cancel()
        resolve()
      }
      const timer = timers.start(waitMs, done)
      this.#waitingForLeader.add(done)
    })
  }

  #wake(): void {
    this.#changeCount++
    for (const done of this.#waitingForLeader) done()
  }

  /** The attempt's end, or 'deadline', whichever comes first; what comes later is dropped. */
  #within<T>(
    { atMs }: Deadline,
    begin: (onEnd: (attempt: T) => void) => void
  ): Promise<T | 'deadline'> {
    const { clock, timers } = this.#parts
    return new Promise((resolve) => {
      const timer: Timer = timers.start(atMs - clock.nowMs(), () => resolve('deadline'))
      begin((attempt) => {
        timer.cancel()
        resolve(attempt)
      })
    })
  }

  async #waitApplied(index: Index, deadline: Deadline): Promise<Index> {
    const { replica } = this.#parts
    let giveUp = (): void => {}
    const outcome = await this.#within<ReadAttempt>(deadline, (onEnd) => {
      giveUp = replica.waitApplied(index, (read) => onEnd(readAttemptOfOutcome(read)))
    })
    giveUp()
    if (outcome === 'deadline') {
      const cause = `this node has applied ${replica.appliedIndex} of ${index} entries`
      throw unavailableError(deadline.timeoutMs, cause)
    }
    if (outcome.kind === 'overloaded') throw overloadedError('this node')
    if (outcome.kind !== 'index') throw unavailableError(null, 'this node is closing')
    return outcome.index
  }

  #deadlineIn(timeoutMs: number): Deadline {
    return { atMs: this.#parts.clock.nowMs() + timeoutMs, timeoutMs }
  }

  /** Nothing is begun that has no time left. `submission`: null for a read. */
  #checkTime(deadline: Deadline, submission: Submission | null): void {
    if (this.#isClosed && submission?.isInDoubt === true) throw unknownError()
    this.checkOpen()
    if (this.#parts.clock.nowMs() < deadline.atMs) return
    throw submission === null ? this.#unavailable(deadline) : this.#outOfTime(deadline, submission)
  }

  #outOfTime(deadline: Deadline, { isInDoubt, reason }: Submission): AspenError {
    return isInDoubt ? timeoutError(deadline.timeoutMs) : this.#unavailable(deadline, reason)
  }

  #unavailable({ timeoutMs }: Deadline, reason: Refusal | null = null): AspenError {
    const { id, replica } = this.#parts
    const { leader } = replica.status
    if (this.#isClosed) return unavailableError(null, 'this node is closing')
    if (reason === 'clockOff') return unavailableError(timeoutMs, "the leader's clock is wrong")
    if (leader === null) return unavailableError(timeoutMs, 'no leader is known')
    if (leader !== id) {
      return unansweredError(timeoutMs, `node ${leader} leads but does not answer`)
    }
    return unansweredError(timeoutMs, 'this node leads but a majority does not answer')
  }
}

/** Between two tries with a leader that cannot be reached, or refuses. */
const RETRY_MS = 50

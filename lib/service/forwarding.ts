// Every command and every read works on every node: here it goes to the leader, wherever that is, in
// one hop, and never further: a node that is asked and does not lead says so. What has not left this
// node waits for the next leader until its deadline; what has left and is not answered is unknown.

import type { Clock, Timer, Timers } from '../clock.ts'
import { decode, encode } from '../encoding.ts'
import type { AspenError } from '../errors.ts'
import { KeyValueStoreError, ProtocolError } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Status } from '../raft/effects.ts'
import type { Index } from '../raft/entry.ts'
import type { Outcome } from '../replica/proposals.ts'
import type { Replica } from '../replica/replica.ts'
import type { ApplyResult } from '../state-machine/state-machine.ts'
import type { Transport } from '../transport/transport.ts'
import type { LeaderAnswer, LeaderRequest, ProposedEntry } from './encoding.ts'
import { leaderAnswer, leaderRequest } from './encoding.ts'
import type { Attempt, ReadAttempt } from './leader-lane.ts'
import { LeaderLane } from './leader-lane.ts'

export interface ForwarderParts {
  readonly id: NodeId
  readonly clock: Clock
  readonly timers: Timers
  readonly replica: Replica
  readonly request: Transport['request']
}

/** A proposal that was applied. */
export interface Submitted {
  readonly index: Index
  readonly result: ApplyResult
}

export class Forwarder {
  readonly #parts: ForwarderParts
  readonly #waitingForLeader = new Set<() => void>()
  #lane: LeaderLane | null = null
  #isClosed = false

  constructor(parts: ForwarderParts) {
    this.#parts = parts
  }

  /**
   * Proposes an entry on the leader and resolves when it is applied there.
   * @throws KeyValueStoreError UNAVAILABLE, OVERLOADED (nothing happened), TIMEOUT, OUTCOME_UNKNOWN
   */
  async submit(entry: ProposedEntry, timeoutMs: number): Promise<Submitted> {
    const deadlineMs = this.#parts.clock.nowMs() + timeoutMs
    for (;;) {
      let withdraw = (): boolean => false
      const attempt = await this.#within<Attempt>(deadlineMs, (onEnd) => {
        withdraw = this.#tryPropose(entry, deadlineMs, onEnd)
      })
      if (attempt === 'deadline') {
        throw withdraw() ? this.#unavailable(timeoutMs) : timeoutError(timeoutMs)
      }
      if (attempt.kind === 'settled') {
        const { outcome } = attempt
        if (outcome.kind === 'done') return { index: outcome.index, result: outcome.result }
        if (outcome.kind === 'unknown') throw unknownError()
        if (outcome.reason === 'overloaded') throw overloadedError()
      }
      await this.#waitForLeader(deadlineMs, timeoutMs)
    }
  }

  /**
   * Resolves with an index that this node has applied and that is at least everything committed
   * before the call.
   * @throws KeyValueStoreError UNAVAILABLE
   */
  async confirmRead(timeoutMs: number): Promise<Index> {
    const deadlineMs = this.#parts.clock.nowMs() + timeoutMs
    for (;;) {
      const attempt = await this.#within<ReadAttempt>(deadlineMs, (onEnd) => this.#tryRead(onEnd))
      if (attempt === 'deadline') throw this.#unavailable(timeoutMs)
      if (attempt.kind === 'index') return await this.#applied(attempt.index, deadlineMs, timeoutMs)
      await this.#waitForLeader(deadlineMs, timeoutMs)
    }
  }

  /** Role, term or leader changed, or a link to the leader opened. */
  onStatus(status: Status): void {
    const isSame = status.leader !== null && this.#lane?.isFor(status.leader, status.term)
    if (isSame !== true) {
      this.#lane?.end()
      this.#lane = null
    }
    this.#wake()
  }

  onLinkUp(): void {
    this.#wake()
  }

  /** Another member asks this node as the leader. */
  onRequest(payload: Uint8Array, answer: (payload: Uint8Array) => void): void {
    const request = decodeRequest(payload)
    if (request === null || this.#isClosed) return
    const send = (value: LeaderAnswer): void => answer(encode(leaderAnswer, value))
    if (request.kind === 'propose') this.#proposeFor(request, send)
    else this.#parts.replica.read((outcome) => send({ kind: 'readAnswer', outcome }))
  }

  close(): void {
    this.#isClosed = true
    this.#lane?.end()
    this.#lane = null
    this.#wake()
  }

  /** Returns how to take the proposal back: true if it had not left yet, so that nothing happens. */
  #tryPropose(
    entry: ProposedEntry,
    deadlineMs: number,
    onEnd: (attempt: Attempt) => void
  ): () => boolean {
    const { replica } = this.#parts
    if (replica.status.role === 'leader') {
      replica.propose({ ...entry, onOutcome: (outcome) => onEnd({ kind: 'settled', outcome }) })
      return () => false
    }
    const lane = this.#laneToLeader()
    if (lane !== null) return lane.propose({ entry, deadlineMs, onEnd })
    onEnd({ kind: 'again' })
    return () => true
  }

  #tryRead(onEnd: (attempt: ReadAttempt) => void): void {
    const { replica } = this.#parts
    if (replica.status.role === 'leader') {
      replica.read((outcome) => {
        onEnd(outcome.kind === 'ready' ? { kind: 'index', index: outcome.index } : { kind: 'again' })
      })
      return
    }
    const lane = this.#laneToLeader()
    if (lane === null) onEnd({ kind: 'again' })
    else lane.readIndex(onEnd)
  }

  #laneToLeader(): LeaderLane | null {
    const { replica, request, clock, id } = this.#parts
    const { leader, term } = replica.status
    if (leader === null || leader === id || this.#isClosed) return null
    if (this.#lane?.isFor(leader, term) !== true) {
      this.#lane?.end()
      this.#lane = new LeaderLane({ leader, term, clock, request })
    }
    return this.#lane
  }

  /** On the leader: each proposal on its own; one answer when all are settled or the time is over. */
  #proposeFor(
    request: LeaderRequest & { readonly kind: 'propose' },
    send: (answer: LeaderAnswer) => void
  ): void {
    const { replica, timers } = this.#parts
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
      replica.propose({
        ...entry,
        onOutcome: (outcome) => {
          outcomes[position] = outcome
          leftCount--
          if (leftCount === 0) finish()
        }
      })
    })
  }

  /** Waits until something about the leader changes, at most RETRY_MS; ends at the deadline. */
  async #waitForLeader(deadlineMs: number, timeoutMs: number): Promise<void> {
    const leftMs = deadlineMs - this.#parts.clock.nowMs()
    if (leftMs <= 0 || this.#isClosed) throw this.#unavailable(timeoutMs)
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waitingForLeader.delete(done)
        timer.cancel()
        resolve()
      }
      const timer = this.#parts.timers.start(Math.min(leftMs, RETRY_MS), done)
      this.#waitingForLeader.add(done)
    })
  }

  #wake(): void {
    for (const done of this.#waitingForLeader) done()
  }

  /** The attempt's end, or 'deadline'; an end that comes later is dropped. */
  #within<T>(deadlineMs: number, begin: (onEnd: (attempt: T) => void) => void): Promise<T | 'deadline'> {
    const { clock, timers } = this.#parts
    return new Promise((resolve) => {
      const timer: Timer = timers.start(deadlineMs - clock.nowMs(), () => resolve('deadline'))
      begin((attempt) => {
        timer.cancel()
        resolve(attempt)
      })
    })
  }

  async #applied(index: Index, deadlineMs: number, timeoutMs: number): Promise<Index> {
    const { replica } = this.#parts
    let giveUp = (): void => {}
    const outcome = await this.#within(deadlineMs, (onEnd: (outcome: Index | 'closing') => void) => {
      giveUp = replica.waitApplied(index, (read) => onEnd(read.kind === 'ready' ? read.index : 'closing'))
    })
    giveUp()
    if (outcome === 'deadline' || outcome === 'closing') throw this.#unavailable(timeoutMs)
    return outcome
  }

  #unavailable(timeoutMs: number): AspenError {
    const { leader } = this.#parts.replica.status
    const cause = leader === null ? 'no leader is known' : `node ${leader} leads but does not answer`
    return new KeyValueStoreError({
      code: 'UNAVAILABLE',
      message: `not carried out within ${timeoutMs} ms: ${cause}`,
      hint: 'a majority of the voters must be running and reach each other: aspen status'
    })
  }
}

/** Between two tries when nothing tells this node that something changed. */
const RETRY_MS = 50

function decodeRequest(payload: Uint8Array): LeaderRequest | null {
  try {
    return decode(leaderRequest, payload)
  } catch (error) {
    if (error instanceof ProtocolError) return null
    throw error
  }
}

function timeoutError(timeoutMs: number): AspenError {
  return new KeyValueStoreError({
    code: 'TIMEOUT',
    message: `no answer within ${timeoutMs} ms; the write may or may not have happened`,
    hint: 'read the key before you write again',
    fields: { timeout_ms: timeoutMs }
  })
}

function unknownError(): AspenError {
  return new KeyValueStoreError({
    code: 'OUTCOME_UNKNOWN',
    message: 'the leader was lost while it had the write; it may or may not have happened',
    hint: 'read the key before you write again'
  })
}

function overloadedError(): AspenError {
  return new KeyValueStoreError({
    code: 'OVERLOADED',
    message: 'the leader has as many writes in progress as it takes; nothing happened',
    hint: 'try again, with fewer writes at a time'
  })
}

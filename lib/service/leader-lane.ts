// The way to one leader in one term: proposals that arrive while requests are under way travel
// together in the next one, and all reads that wait share one question. A lane ends when its leader
// or term is over: what had left is then unknown, what had not left is handed back; both wait for the
// next leader, and a command finds there whether it has been carried out (submission.ts).

import type { Clock, Timer, Timers } from '../clock.ts'
import { decode, encode } from '../encoding.ts'
import { ProtocolError } from '../errors.ts'
import { MAX_APPEND_BYTES, MAX_APPEND_ENTRIES, MAX_FORWARDS_UNDER_WAY } from '../limits.ts'
import { MAX_REQUEST_TIMEOUT_MS, READ_ROUND_MS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Index, Term } from '../raft/entry.ts'
import type { Outcome } from '../replica/proposals.ts'
import type { ReadOutcome } from '../replica/waiting-reads.ts'
import type { RequestAnswer, Transport } from '../transport/transport.ts'
import type { LeaderAnswer, LeaderRequest, ProposedEntry } from './encoding.ts'
import { leaderAnswer, leaderRequest } from './encoding.ts'

/** How an attempt to reach the leader ended. */
export type Attempt =
  | { readonly kind: 'settled'; readonly outcome: Outcome }
  /** nothing left this node, or the other side says that nothing happened: try the next leader */
  | { readonly kind: 'again' }
  /** the other side does not take such a request; nothing happened */
  | { readonly kind: 'rejected' }

export type ReadAttempt =
  | { readonly kind: 'index'; readonly index: Index }
  | { readonly kind: 'again' }
  /** as many reads wait there as are taken */
  | { readonly kind: 'overloaded' }
  | { readonly kind: 'rejected' }

interface Waiting {
  readonly entry: ProposedEntry
  readonly deadlineMs: number
  readonly onEnd: (attempt: Attempt) => void
}

export interface LeaderLaneParts {
  readonly leader: NodeId
  readonly term: Term
  readonly clock: Clock
  readonly timers: Timers
  readonly request: Transport['request']
}

export class LeaderLane {
  readonly #parts: LeaderLaneParts
  /** not sent yet; bounded by the forwarder, whose callers they are */
  readonly #waiting: Waiting[] = []
  #waitingReads: ((attempt: ReadAttempt) => void)[] = []
  /** what has left and is not answered; ended early when the lane ends */
  readonly #underWay = new Set<() => void>()
  #proposeCount = 0
  #isReading = false
  /** runs while the leader hands over: nothing more is sent to it */
  #hold: Timer | null = null
  #isEnded = false

  constructor(parts: LeaderLaneParts) {
    this.#parts = parts
  }

  isFor(leader: NodeId, term: Term): boolean {
    return this.#parts.leader === leader && this.#parts.term === term && !this.#isEnded
  }

  /** Returns how to take it back: true if it had not left yet. */
  propose(waiting: Waiting): () => boolean {
    this.#waiting.push(waiting)
    this.#maybeSendProposals()
    return () => {
      const position = this.#waiting.indexOf(waiting)
      if (position >= 0) this.#waiting.splice(position, 1)
      return position >= 0
    }
  }

  readIndex(onEnd: (attempt: ReadAttempt) => void): void {
    this.#waitingReads.push(onEnd)
    this.#maybeSendRead()
  }

  /** The leader is gone or another term was heard. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#hold?.cancel()
    for (const { onEnd } of this.#waiting.splice(0)) onEnd({ kind: 'again' })
    for (const onEnd of this.#waitingReads.splice(0)) onEnd({ kind: 'again' })
    for (const endOne of this.#underWay) endOne()
    this.#underWay.clear()
  }

  #maybeSendProposals(): void {
    if (this.#isEnded || this.#waiting.length === 0) return
    if (this.#proposeCount >= MAX_FORWARDS_UNDER_WAY || this.#hold !== null) return
    const batch = this.#takeBatch()
    const proposals = batch.map((waiting) => waiting.entry)
    const deadlineMs = Math.max(...batch.map((waiting) => waiting.deadlineMs))
    this.#proposeCount++
    this.#send({ kind: 'propose', timeoutMs: this.#timeoutOf(deadlineMs), proposals }, (answer) => {
      this.#proposeCount--
      if (isHandingOver(answer)) this.#holdBack()
      batch.forEach((waiting, position) => waiting.onEnd(attemptOf(answer, position)))
      this.#maybeSendProposals()
    })
  }

  /** What is under way when the next leader is heard is sent again: better that there is nothing. */
  #holdBack(): void {
    if (this.#isEnded || this.#hold !== null) return
    this.#hold = this.#parts.timers.start(HOLD_MS, () => {
      this.#hold = null
      this.#maybeSendProposals()
    })
  }

  #takeBatch(): readonly Waiting[] {
    let byteCount = 0
    let count = 0
    for (const { entry } of this.#waiting) {
      byteCount += entry.payload.byteLength
      if (count > 0 && (byteCount > MAX_APPEND_BYTES || count >= MAX_APPEND_ENTRIES)) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  /** One question at a time: a read that arrives meanwhile needs an index confirmed after its arrival. */
  #maybeSendRead(): void {
    if (this.#isEnded || this.#isReading || this.#waitingReads.length === 0) return
    const reads = this.#waitingReads
    this.#waitingReads = []
    this.#isReading = true
    this.#send({ kind: 'readIndex', timeoutMs: READ_ROUND_MS }, (answer) => {
      this.#isReading = false
      const attempt = readAttemptOf(answer)
      for (const onEnd of reads) onEnd(attempt)
      this.#maybeSendRead()
    })
  }

  /** `onAnswer` is called once: also when the leader never answers, a while after it should have. */
  #send(
    request: Extract<LeaderRequest, { readonly timeoutMs: number }>,
    onAnswer: (answer: LeaderAnswer | 'notSent' | 'lost') => void
  ): void {
    const { timers, leader } = this.#parts
    const once = (answer: LeaderAnswer | 'notSent' | 'lost'): void => {
      if (!this.#underWay.delete(endOne)) return
      deadline.cancel()
      onAnswer(answer)
    }
    const endOne = (): void => once('lost')
    const deadline = timers.start(request.timeoutMs + ANSWER_GRACE_MS, endOne)
    this.#underWay.add(endOne)
    this.#parts.request(leader, encode(leaderRequest, request), (answer) => {
      once(decodeAnswer(answer))
    })
  }

  #timeoutOf(deadlineMs: number): number {
    const leftMs = Math.ceil(deadlineMs - this.#parts.clock.nowMs())
    return Math.min(Math.max(leftMs, 0), MAX_REQUEST_TIMEOUT_MS)
  }
}

/** How long a leader that hands over is left alone; longer than that takes, where links are good. */
const HOLD_MS = 100

/** What an answer may take on its way, after the time that the leader was given. */
const ANSWER_GRACE_MS = 500

/** An answer that cannot be read tells nothing of what the leader did. */
function decodeAnswer(answer: RequestAnswer): LeaderAnswer | 'notSent' | 'lost' {
  if (answer.kind !== 'answered') return answer.kind
  try {
    return decode(leaderAnswer, answer.payload)
  } catch (error) {
    if (error instanceof ProtocolError) return 'lost'
    throw error
  }
}

function isHandingOver(answer: LeaderAnswer | 'notSent' | 'lost'): boolean {
  if (answer === 'notSent' || answer === 'lost' || answer.kind !== 'outcomes') return false
  return answer.outcomes.some(
    (outcome) => outcome.kind === 'refused' && outcome.reason === 'transferring'
  )
}

function attemptOf(answer: LeaderAnswer | 'notSent' | 'lost', position: number): Attempt {
  if (answer === 'notSent') return { kind: 'again' }
  if (answer !== 'lost' && answer.kind === 'rejected') return { kind: 'rejected' }
  const outcome =
    answer !== 'lost' && answer.kind === 'outcomes' ? answer.outcomes[position] : undefined
  return { kind: 'settled', outcome: outcome ?? { kind: 'unknown' } }
}

function readAttemptOf(answer: LeaderAnswer | 'notSent' | 'lost'): ReadAttempt {
  if (answer === 'notSent' || answer === 'lost') return { kind: 'again' }
  if (answer.kind === 'rejected') return { kind: 'rejected' }
  if (answer.kind !== 'readAnswer') return { kind: 'again' }
  return readAttemptOfOutcome(answer.outcome)
}

export function readAttemptOfOutcome(outcome: ReadOutcome): ReadAttempt {
  if (outcome.kind === 'ready') return { kind: 'index', index: outcome.index }
  return { kind: outcome.reason === 'overloaded' ? 'overloaded' : 'again' }
}

// The other side of a forwarding node, in the hands of the test: what reaches the leader, and what
// the leader answers; and a replica that does nothing by itself.

import { present } from '../../lib/assert.ts'
import { decode, encode } from '../../lib/encoding.ts'
import { AspenError } from '../../lib/errors.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Status } from '../../lib/raft/effects.ts'
import type { Index } from '../../lib/raft/entry.ts'
import { SeededRandom } from '../../lib/random.ts'
import type { Outcome, Proposal, Refusal } from '../../lib/replica/proposals.ts'
import type { OnRead } from '../../lib/replica/waiting-reads.ts'
import type { LeaderAnswer, LeaderRequest, ProposedEntry } from '../../lib/service/encoding.ts'
import { leaderAnswer, leaderRequest } from '../../lib/service/encoding.ts'
import { Forwarder } from '../../lib/service/forwarding.ts'
import type { OperationEnd } from '../../lib/service/operations.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import type { RequestAnswer } from '../../lib/transport/transport.ts'
import { textOfKey } from './samples.ts'

export interface Asked {
  readonly to: NodeId
  readonly request: LeaderRequest
  readonly end: (answer: RequestAnswer) => void
  answer(answer: LeaderAnswer): void
}

/** What a node sends to leaders. */
export class Wire {
  readonly asked: Asked[] = []
  /** null: requests arrive; else they end like this at once, as with no link */
  atOnce: RequestAnswer | null = null

  readonly request = (
    to: NodeId,
    payload: Uint8Array,
    onAnswer: (answer: RequestAnswer) => void
  ): void => {
    const { atOnce } = this
    if (atOnce !== null) {
      queueMicrotask(() => onAnswer(atOnce))
      return
    }
    const request = decode(leaderRequest, payload)
    const answer = (value: LeaderAnswer): void =>
      onAnswer({ kind: 'answered', payload: encode(leaderAnswer, value) })
    this.asked.push({ to, request, end: onAnswer, answer })
  }

  get last(): Asked {
    return present(this.asked.at(-1), 'a request')
  }

  at(position: number): Asked {
    return present(this.asked[position], `request ${position}`)
  }

  /** The keys in each request with proposals, `?` for a question. */
  get keys(): readonly string[] {
    return this.asked.map(({ request }) => keysOf(request))
  }
}

function keysOf(request: LeaderRequest): string {
  if (request.kind !== 'propose') return '?'
  return request.proposals.map(({ payload }) => textOfKey(payload)).join(' ')
}

/** All of a request's proposals, done from `index` on. */
export function doneFrom(asked: Asked, index: Index): LeaderAnswer {
  const count = asked.request.kind === 'propose' ? asked.request.proposals.length : 0
  const outcomes = Array.from({ length: count }, (_, at): Outcome => ({
    kind: 'done',
    index: index + at,
    result: { kind: 'none' }
  }))
  return { kind: 'outcomes', outcomes }
}

const NOBODY_LEADS: Status = {
  role: 'follower',
  term: 1,
  leader: null,
  commitIndex: 0,
  lastIndex: 0,
  lastTerm: 0,
  durableIndex: 0,
  onDisk: { term: 1, lastIndex: 0 },
  configuration: { members: [], outgoing: [] },
  configurationIndex: 0,
  transferTarget: null,
  logTimeMs: 0,
  leaderHeardMs: null,
  wrongClocks: [],
  progress: new Map()
}

export class StillReplica {
  status: Status = NOBODY_LEADS
  appliedIndex: Index = 0
  readonly proposed: Proposal[] = []
  readonly reads: OnRead[] = []
  readonly readIndexes: OnRead[] = []
  readonly #waiting = new Set<{ readonly index: Index; readonly onOutcome: OnRead }>()

  propose(proposal: Proposal): void {
    this.proposed.push(proposal)
  }

  read(onOutcome: OnRead): void {
    this.reads.push(onOutcome)
  }

  readIndex(onOutcome: OnRead): void {
    this.readIndexes.push(onOutcome)
  }

  waitApplied(index: Index, onOutcome: OnRead): () => void {
    const read = { index, onOutcome }
    this.#waiting.add(read)
    queueMicrotask(() => this.apply(this.appliedIndex))
    return () => void this.#waiting.delete(read)
  }

  get waitingCount(): number {
    return this.#waiting.size
  }

  apply(index: Index): void {
    this.appliedIndex = index
    for (const read of this.#waiting) {
      if (read.index > index) continue
      this.#waiting.delete(read)
      read.onOutcome({ kind: 'ready', index })
    }
  }
}

/** A node with id 2 whose leader is the test. */
export class Desk {
  readonly time = new VirtualTime()
  readonly wire = new Wire()
  readonly replica = new StillReplica()
  readonly forwarder: Forwarder
  /** what the gate says while this node leads */
  refusalOf: (entry: ProposedEntry) => Refusal | null = () => null
  hasSpace = true
  /** operations that this node was asked to carry out, and how the last one ends */
  readonly operated: object[] = []
  endOperation: (end: OperationEnd) => void = () => {}

  constructor() {
    const { time, replica, wire } = this
    const { request } = wire
    this.forwarder = new Forwarder({
      observer: null,
      id: 2,
      clock: time,
      timers: time,
      random: new SeededRandom(1),
      replica,
      request,
      gate: { refusalOf: (entry) => this.refusalOf(entry) },
      hasSpace: () => this.hasSpace,
      operate: (operation, timeoutMs, from) => {
        this.operated.push({ operation, timeoutMs, from })
        return new Promise((resolve) => (this.endOperation = resolve))
      }
    })
  }

  /** This node now hears that `leader` leads; itself is 2. */
  follow(leader: NodeId | null, term: number): void {
    const role = leader === 2 ? 'leader' : 'follower'
    this.replica.status = { ...this.replica.status, role, leader, term }
    this.forwarder.onStatus(this.replica.status)
  }
}

/** How a promise ended, once it has. */
export interface Fate<T> {
  value: T | null
  code: string | null
}

export function fateOf<T>(promise: Promise<T>): Fate<T> {
  const fate: Fate<T> = { value: null, code: null }
  promise.then(
    (value) => {
      fate.value = value
    },
    (error: unknown) => {
      fate.code = error instanceof AspenError ? error.code : String(error)
    }
  )
  return fate
}

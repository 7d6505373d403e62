// What members ask of their leader over `aspen/rpc`, format 1. One request, one answer; the first
// byte is the format, the second the kind.
//
//   propose   1 1 ‖ timeoutMs uint ‖ n × { kind uint8 ‖ payload }
//   readIndex 1 2 ‖ timeoutMs uint
//   outcomes  1 3 ‖ n × outcome                  (in the order of the proposals)
//   readAnswer 1 4 ‖ 0 index | 1 reason
//   rejected  1 5
//   askDisk   1 6
//   disk      1 7 ‖ hasSpace bool
//   askLog    1 8
//   log       1 9 ‖ lastTerm uint ‖ lastIndex uint ‖ commitIndex uint ‖ appliedIndex uint
//   operate   1 10 ‖ timeoutMs uint ‖ operation   (operations.ts)
//   operated  1 11 ‖ 0 result | 1 error | 2
//
//   outcome   0 index result | 1 reason | 2
//   result    state-machine/encoding.ts
//
// A leader takes writes and control commands that it can read itself, and nothing else: the other
// kinds it makes itself, or does not know, and an entry that nobody knows would stop every member.

import c from 'compact-encoding'
import type { Encoder } from '../encoding.ts'
import { boundedArray, boundedBytes, boundedText, boundedUint, strictBoolean } from '../encoding.ts'
import { MAX_APPEND_ENTRIES, MAX_ENTRY_BYTES, MAX_INDEX, MAX_TERM } from '../limits.ts'
import { MAX_MEMBERS, MAX_OPEN_INVITES, MAX_TIME_MS, MAX_VOTERS } from '../limits.ts'
import { MAX_REQUEST_TIMEOUT_MS } from '../limits.ts'
import { checked, choice, nullable, record, tagged, versioned } from '../record.ts'
import { configurationEncoding, nodeIdEncoding } from '../raft/encoding.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { Index, Term } from '../raft/entry.ts'
import type { Outcome, Refusal } from '../replica/proposals.ts'
import type { ReadOutcome } from '../replica/waiting-reads.ts'
import {
  applyResultEncoding,
  decodeControl,
  decodeWrite,
  errorDetail
} from '../state-machine/encoding.ts'
import type { Changed, ClusterOperation, OperationEnd, OperationResult } from './operations.ts'

export type LeaderRequest =
  | {
      readonly kind: 'propose'
      readonly timeoutMs: number
      readonly proposals: readonly ProposedEntry[]
    }
  | { readonly kind: 'readIndex'; readonly timeoutMs: number }
  /** a leader asks a voter whether it could take over a leader's work */
  | { readonly kind: 'askDisk' }
  /** any member asks any other what it has, for people who look for a way out */
  | { readonly kind: 'askLog' }
  /** a whole operation on the cluster; answered when it has ended, or after `timeoutMs` */
  | {
      readonly kind: 'operate'
      readonly timeoutMs: number
      readonly operation: ClusterOperation
    }

export interface ProposedEntry {
  readonly kind: number
  readonly payload: Uint8Array
}

export type LeaderAnswer =
  | { readonly kind: 'outcomes'; readonly outcomes: readonly Outcome[] }
  | { readonly kind: 'readAnswer'; readonly outcome: ReadOutcome }
  /** the request cannot be read here, or is not its sender's to make; nothing happened */
  | { readonly kind: 'rejected' }
  | { readonly kind: 'disk'; readonly hasSpace: boolean }
  | ({ readonly kind: 'log' } & LogPosition)
  | { readonly kind: 'operated'; readonly end: OperationEnd }

/** How much of the log a member has. */
export interface LogPosition {
  readonly lastTerm: Term
  readonly lastIndex: Index
  /** known to be committed; what lies above may be too */
  readonly commitIndex: Index
  readonly appliedIndex: Index
}

const FORMAT = { what: 'format', byte: 1 }
const index = boundedUint(MAX_INDEX)
const timeout = boundedUint(MAX_REQUEST_TIMEOUT_MS)

const nothing = record({})
/** eight hex digits name a ticket */
const TICKET_ID_CHARACTERS = 8

const proposedEntry = checked(
  record<ProposedEntry>({ kind: c.uint8, payload: boundedBytes(MAX_ENTRY_BYTES) }),
  ({ kind, payload }) => {
    // refused here, or it would be committed and stop every member that applies it
    if (kind === ENTRY_KIND.write) decodeWrite(payload)
    else if (kind === ENTRY_KIND.control) decodeControl(payload)
    else return `entries of kind ${kind} are not proposed`
    return null
  }
)

const operation = tagged<ClusterOperation>('operation', {
  changeVoters: {
    byte: 1,
    body: record({
      members: boundedArray(nodeIdEncoding, MAX_MEMBERS),
      expected: nullable(boundedArray(nodeIdEncoding, MAX_MEMBERS))
    })
  },
  promote: {
    byte: 2,
    body: record({
      learnerId: nodeIdEncoding,
      replaceNode: nullable(nodeIdEncoding),
      force: strictBoolean
    })
  },
  remove: { byte: 3, body: record({ id: nodeIdEncoding, force: strictBoolean }) },
  transfer: { byte: 4, body: record({ target: nullable(nodeIdEncoding) }) },
  snapshot: { byte: 5, body: record({ newest: index }) },
  awaitLearner: { byte: 6, body: record({ id: nodeIdEncoding }) }
})

const requests = tagged<LeaderRequest>('request', {
  propose: {
    byte: 1,
    body: record({
      timeoutMs: timeout,
      proposals: boundedArray(proposedEntry, MAX_APPEND_ENTRIES)
    })
  },
  readIndex: { byte: 2, body: record({ timeoutMs: timeout }) },
  askDisk: { byte: 6, body: nothing },
  askLog: { byte: 8, body: nothing },
  operate: { byte: 10, body: record({ timeoutMs: timeout, operation }) }
})

export const leaderRequest: Encoder<LeaderRequest> = versioned(FORMAT, requests)

/** Append only. */
const reason = choice<Refusal>('reason', [
  'notLeader',
  'transferring',
  'changeInProgress',
  'invalidChange',
  'overloaded',
  'clockOff',
  'overwritten',
  'closing',
  'diskFull',
  'storeFull'
])

const outcome = tagged<Outcome>('outcome', {
  done: { byte: 0, body: record({ index, result: applyResultEncoding }) },
  refused: { byte: 1, body: record({ reason }) },
  unknown: { byte: 2, body: nothing }
})

const readOutcome = tagged<ReadOutcome>('read outcome', {
  ready: { byte: 0, body: record({ index }) },
  refused: { byte: 1, body: record({ reason }) }
})

const changed = record<Changed>({
  index,
  timeMs: boundedUint(MAX_TIME_MS),
  previousVoters: boundedArray(nodeIdEncoding, MAX_VOTERS),
  configuration: configurationEncoding,
  revokedTickets: boundedArray(boundedText(TICKET_ID_CHARACTERS), MAX_OPEN_INVITES)
})

const operationResult = tagged<OperationResult>('operation result', {
  changed: { byte: 0, body: changed },
  transferred: { byte: 1, body: record({ leader: nodeIdEncoding }) },
  snapshotAt: { byte: 2, body: record({ index }) }
})

const operationEnd = tagged<OperationEnd>('operation end', {
  done: { byte: 0, body: record({ result: operationResult }) },
  failed: { byte: 1, body: record({ error: errorDetail }) },
  again: { byte: 2, body: nothing }
})

const answers = tagged<LeaderAnswer>('answer', {
  outcomes: { byte: 3, body: record({ outcomes: boundedArray(outcome, MAX_APPEND_ENTRIES) }) },
  readAnswer: { byte: 4, body: record({ outcome: readOutcome }) },
  rejected: { byte: 5, body: nothing },
  disk: { byte: 7, body: record({ hasSpace: strictBoolean }) },
  log: {
    byte: 9,
    body: record<LogPosition>({
      lastTerm: boundedUint(MAX_TERM),
      lastIndex: index,
      commitIndex: index,
      appliedIndex: index
    })
  },
  operated: { byte: 11, body: record({ end: operationEnd }) }
})

export const leaderAnswer: Encoder<LeaderAnswer> = versioned(FORMAT, answers)

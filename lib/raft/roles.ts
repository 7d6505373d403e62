// What a node is, as a union: state that only one role has exists only while the node has that role.

import type { NodeId } from '../node-id.ts'
import type { Index } from './entry.ts'
import type { LogClock } from './log-time.ts'
import type { Progress } from './progress.ts'
import type { ValueOf } from './quorum.ts'
import type { PendingReads } from './reads.ts'

export type RoleState = FollowerState | PreCandidateState | CandidateState | LeaderState

export interface FollowerState {
  readonly kind: 'follower'
  electionDeadlineMs: number
  /** the leader of this term and when it was last heard; null while unknown or forgotten */
  leader: { readonly id: NodeId; heardMs: number } | null
}

export interface PreCandidateState {
  readonly kind: 'preCandidate'
  electionDeadlineMs: number
  /** who would vote for this node, itself included */
  readonly granted: Set<NodeId>
}

export interface CandidateState {
  readonly kind: 'candidate'
  electionDeadlineMs: number
  /** who voted for this node in this term; itself once its own vote is durable */
  readonly granted: Set<NodeId>
  /** the leader of the term before asked for this election */
  readonly isTransfer: boolean
}

export interface LeaderState {
  readonly kind: 'leader'
  /** monotonic ms of the election */
  readonly sinceMs: number
  /** the term's first entry: nothing before it is committed by counting (R8) */
  readonly firstIndex: Index
  /** every other member; a removed one until its removal is committed */
  readonly progress: Map<NodeId, Progress>
  readonly reads: PendingReads
  readonly clock: LogClock
  /** the last round of heartbeats */
  round: number
  heartbeatDueMs: number
  /** when followers that nothing else has told of a commit are told; null while there is none */
  noticeDueMs: number | null
  transfer: { readonly target: NodeId; readonly deadlineMs: number } | null
  /** what a quorum is asked for: durable log, answered round, time of the last answer */
  readonly matchOf: ValueOf
  readonly roundOf: ValueOf
  readonly heardOf: ValueOf
}

// What can be asked of a cluster about itself: who belongs to it, who votes, who leads. Every operation
// works on every node, also after a restart and a change of leaders: what only the leader can do takes one
// hop to it. What is known of the members comes from the Raft configuration, never from a flag of one process.
//
// A change ends as done, refused (nothing happened) or unknown (TIMEOUT, OUTCOME_UNKNOWN: it may have
// happened or may yet). All of them take `timeoutMs`; DEFAULT_REQUEST_TIMEOUT_MS when it is left out.

import type { NodeId } from '../node-id.ts'
import type { Index, Term } from '../raft/entry.ts'
import type { ClusterState, RaftMetrics } from './documents.ts'
import type { ReadOptions, RequestOptions } from './node-api.ts'

/** A node that is to belong to a cluster. */
export interface NodeSpec {
  /** its public key, 64 hex digits: what a member is */
  readonly key: string
  /** where it was seen, `host:port`; hints, at most MAX_MEMBER_ADDRESSES */
  readonly addresses?: readonly string[]
  /** the cluster assigns ids; where one is given it must be the one that the node has or gets */
  readonly id?: NodeId
  /** at most MAX_NAME_SIZE bytes */
  readonly name?: string
}

export interface InitRequest {
  /** this node among them, by its key; all of them become voters */
  readonly initialMembers: readonly NodeSpec[]
}

export interface AddLearnerRequest {
  readonly learner: NodeSpec
}

export interface ChangeMembershipRequest {
  /** the full new set of voters: each a member, at least one, at most MAX_VOTERS */
  readonly members: readonly NodeId[]
  /** who votes before the change, by what the caller has read; CONDITION_FAILED where others do */
  readonly expected?: readonly NodeId[]
}

export interface PromoteLearnerRequest {
  readonly learnerId: NodeId
  /** a voter that becomes a learner in the same change */
  readonly replaceNode?: NodeId
  /** skips the pause between changes, and what is checked of the learner's health and lag and of the quorum */
  readonly force?: boolean
}

export interface Promotion {
  readonly learnerId: NodeId
  /** ascending */
  readonly previousVoters: readonly NodeId[]
  readonly newVoters: readonly NodeId[]
  /** log time of the change: RFC 3339, UTC */
  readonly timestamp: string
}

export interface RemoveMemberRequest {
  readonly id: NodeId
  /** also when the voters in sight are no majority of those that remain: nothing is committed until they are */
  readonly force?: boolean
}

/** The cluster without the member. */
export interface Removal extends ClusterState {
  /** ids of the tickets that the removal revoked: whoever is gone may have had one; none where it asked itself */
  readonly revokedTickets: readonly string[]
}

export interface TransferLeadershipRequest {
  /** a voter; the one with most of the log when it is left out */
  readonly target?: NodeId
}

/** The entry as of which a snapshot is. */
export interface SnapshotPlace {
  readonly term: Term
  readonly index: Index
}

/** @see ControlPlaneError for every refusal */
export interface ClusterController {
  /**
   * Founds a cluster on a node that was started without one.
   * The founder is node 1 and a cluster of one at first; the others, which run with it as their peer, are added,
   * and made voters in one change.
   * @throws ControlPlaneError ALREADY_INITIALIZED where there is one, INVALID_REQUEST; TIMEOUT and FAILED with what is
   * missing: the cluster is there all the same, and `addLearner` goes on with it
   */
  init(request: InitRequest, options?: RequestOptions): Promise<ClusterState>
  /**
   * Admits a node by its key, and resolves when it is a learner that has caught up and is linked. Asked again
   * for the same key it goes on where it is. At its deadline TIMEOUT says what it waits for; the admission stays.
   */
  addLearner(request: AddLearnerRequest, options?: RequestOptions): Promise<ClusterState>
  /**
   * Makes these members the voters, in one change; voters that are left out become learners, and stay it until
   * somebody says otherwise. Where these are fewer than the cluster wants, learners that were let in to vote and
   * never did still become voters by themselves.
   */
  changeMembership(
    request: ChangeMembershipRequest,
    options?: RequestOptions
  ): Promise<ClusterState>
  /** `stale`: as this node knows it, without asking anybody. */
  currentState(options?: ReadOptions): Promise<ClusterState>
  /** Of this node, from memory. */
  getMetrics(): Promise<RaftMetrics>
  /** Whom this node hears, or itself; null while nobody is known. */
  getLeader(): Promise<NodeId | null>
  /**
   * Makes every member snapshot at one new entry, and resolves when this node has made its own there. Where
   * this node has one of the very last entry already, that is the answer, and nothing is made.
   */
  triggerSnapshot(options?: RequestOptions): Promise<SnapshotPlace>
  /** @throws ControlPlaneError what cluster/promotion.ts lists, in its order */
  promoteLearner(request: PromoteLearnerRequest, options?: RequestOptions): Promise<Promotion>
  /**
   * Removes a member for good: its key is never admitted again. In a voter's place a learner that may vote
   * and has caught up is promoted in the same change, if there is one.
   */
  removeMember(request: RemoveMemberRequest, options?: RequestOptions): Promise<Removal>
  /** Resolves when the new leader is known. */
  transferLeadership(
    request?: TransferLeadershipRequest,
    options?: RequestOptions
  ): Promise<{ readonly leader: NodeId }>
}

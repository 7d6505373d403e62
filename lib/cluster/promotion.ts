// The rules of the explicit promotion: nine checks, in this order, and the first that fails is the answer.
//
//   1  the voters were last changed MEMBERSHIP_COOLDOWN_MS ago, or longer         skipped by force
//   2  there is a leader's view to judge by
//   3  the node does not vote already
//   4  it is a learner of this cluster
//   5  the leader has it in sight                                                 skipped by force
//   6  it is at most MAX_PROMOTION_LAG entries behind                             skipped by force
//   7  the voters in sight, less the one that is replaced, are a majority         skipped by force
//   8  there will be at most MAX_VOTERS voters, and only a voter is replaced
//   9  the change can be made: a majority of the new voters is in sight
//
// What they go by is the same on every node and after every restart: the time of the last change is log time
// of the state machine, and now is what the leader would stamp; health and lag are the leader's own link and
// progress, and what is not known is no reason to go on. The last check is not skipped: a change that a
// majority of the new voters cannot agree to would stop the cluster, and help nobody. Pure.

import type { ErrorCode, ErrorDetail } from '../errors.ts'
import { MAX_PROMOTION_LAG, MAX_VOTERS, MEMBERSHIP_COOLDOWN_MS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration, ConfigurationChange } from '../raft/configuration.ts'
import { learnersOf, votersOf } from '../raft/configuration.ts'
import { majorityOf } from '../raft/quorum.ts'
import { isCaughtUp, isInSight, isMajority, lagOf } from './sight.ts'
import type { Sight } from './sight.ts'

export interface PromotionOrder {
  readonly learnerId: NodeId
  /** becomes a learner in the same change; null for nobody */
  readonly replaceNode: NodeId | null
  readonly force: boolean
}

export interface PromotionView {
  /** what the leader would stamp now */
  readonly logTimeMs: number
  /** log time of the last change of the voters; 0: there was none since the founding */
  readonly votersChangedMs: number
  /** null: this node has no leader's view */
  readonly sight: Sight | null
}

export type PromotionPlan =
  | { readonly kind: 'refused'; readonly error: ErrorDetail }
  /** `voters`: those after it, ascending */
  | {
      readonly kind: 'planned'
      readonly change: ConfigurationChange
      readonly voters: readonly NodeId[]
    }

export function planPromotion(order: PromotionOrder, view: PromotionView): PromotionPlan {
  const { sight } = view
  const first = order.force ? null : whyTooRecent(view)
  if (first !== null) return { kind: 'refused', error: first }
  if (sight === null) return { kind: 'refused', error: metricsUnavailable() }
  for (const { whyNot, isSkippedByForce } of CHECKS) {
    const error = isSkippedByForce && order.force ? null : whyNot(order, sight)
    if (error !== null) return { kind: 'refused', error }
  }
  const demote = order.replaceNode === null ? [] : [order.replaceNode]
  const change = { add: [], promote: [order.learnerId], demote, remove: [] }
  return { kind: 'planned', change, voters: votersAfter(order, sight.status.configuration) }
}

interface Check {
  readonly whyNot: (order: PromotionOrder, sight: Sight) => ErrorDetail | null
  readonly isSkippedByForce: boolean
}

/** 3 to 9. */
const CHECKS: readonly Check[] = [
  { whyNot: whyNoLearner, isSkippedByForce: false },
  { whyNot: whyNotFound, isSkippedByForce: false },
  { whyNot: whyUnhealthy, isSkippedByForce: true },
  { whyNot: whyLagging, isSkippedByForce: true },
  { whyNot: whyNoQuorum, isSkippedByForce: true },
  { whyNot: whyTooMany, isSkippedByForce: false },
  { whyNot: whyNotChanged, isSkippedByForce: false }
]

function whyTooRecent({ logTimeMs, votersChangedMs }: PromotionView): ErrorDetail | null {
  const remainingMs = votersChangedMs + MEMBERSHIP_COOLDOWN_MS - logTimeMs
  if (votersChangedMs === 0 || remainingMs <= 0) return null
  const wait = `wait ${Math.ceil(remainingMs / 1_000)} s`
  return detail('MEMBERSHIP_CHANGE_TOO_RECENT', `Membership was changed recently (${wait})`, {
    hint: 'one change at a time can be watched; --force ("force": true over HTTP) does not wait',
    fields: { remaining_ms: Math.ceil(remainingMs) }
  })
}

function metricsUnavailable(): ErrorDetail {
  const message = 'Failed to get cluster metrics: this node does not lead'
  return detail('METRICS_UNAVAILABLE', message, { hint: 'try again when a leader is known' })
}

function whyNoLearner({ learnerId }: PromotionOrder, { status }: Sight): ErrorDetail | null {
  if (!votersOf(status.configuration).includes(learnerId)) return null
  const message = `Node ${learnerId} is not a learner (already a voter)`
  return detail('NOT_A_LEARNER', message, { fields: { id: learnerId } })
}

function whyNotFound({ learnerId }: PromotionOrder, { status }: Sight): ErrorDetail | null {
  if (learnersOf(status.configuration).includes(learnerId)) return null
  return detail('LEARNER_NOT_FOUND', `Learner ${learnerId} not found in cluster`, {
    hint: "'aspen members' shows who belongs to it",
    fields: { id: learnerId }
  })
}

function whyUnhealthy({ learnerId }: PromotionOrder, sight: Sight): ErrorDetail | null {
  if (isInSight(sight, learnerId)) return null
  return detail('LEARNER_UNHEALTHY', `Learner ${learnerId} is not healthy or reachable`, {
    hint: 'the leader has no link to it, or no answer over it: start it, or look at its network',
    fields: { id: learnerId }
  })
}

function whyLagging({ learnerId }: PromotionOrder, sight: Sight): ErrorDetail | null {
  if (isCaughtUp(sight, learnerId)) return null
  // of whom nothing is known, the whole log is missing
  const lag = lagOf(sight, learnerId) ?? sight.status.lastIndex
  return detail('LEARNER_LAGGING', `Learner ${learnerId} is too far behind (lag: ${lag} entries)`, {
    hint: `it may be promoted when it is at most ${MAX_PROMOTION_LAG} entries behind`,
    fields: { id: learnerId, lag }
  })
}

function whyNoQuorum({ replaceNode }: PromotionOrder, sight: Sight): ErrorDetail | null {
  if (replaceNode === null) return null
  const voters = votersOf(sight.status.configuration)
  const stays = (id: NodeId): boolean => id !== replaceNode && isInSight(sight, id)
  if (isMajority(voters, stays)) return null
  const left = voters.filter(stays).length
  const needed = majorityOf(voters.length)
  const message = `No quorum without node ${replaceNode}: ${left} other voters are in sight, ${needed} of ${voters.length} are needed`
  return detail('NO_QUORUM_WITHOUT_FAILED_NODE', message, {
    hint: 'start the voters that are out of sight first',
    fields: { id: replaceNode, in_sight: left, needed }
  })
}

function whyTooMany(order: PromotionOrder, { status }: Sight): ErrorDetail | null {
  const { replaceNode } = order
  const { configuration } = status
  if (replaceNode !== null && !votersOf(configuration).includes(replaceNode)) {
    const message = `invalid request: node ${replaceNode} is to be replaced, but is no voter`
    return detail('INVALID_REQUEST', message, { fields: { id: replaceNode } })
  }
  if (votersAfter(order, configuration).length <= MAX_VOTERS) return null
  const message = `Maximum voters (${MAX_VOTERS}) would be exceeded`
  return detail('MAX_VOTERS_EXCEEDED', message, { fields: { max: MAX_VOTERS } })
}

function whyNotChanged(order: PromotionOrder, sight: Sight): ErrorDetail | null {
  const voters = votersAfter(order, sight.status.configuration)
  const isSeen = (id: NodeId): boolean => isInSight(sight, id)
  if (isMajority(voters, isSeen)) return null
  const seen = voters.filter(isSeen).length
  const message = `Failed to change membership: only ${seen} of the ${voters.length} new voters are in sight, and they could agree to nothing`
  return detail('MEMBERSHIP_CHANGE_FAILED', message, {
    hint: 'start the nodes that are out of sight first',
    fields: { in_sight: seen, needed: majorityOf(voters.length) }
  })
}

function votersAfter(
  { learnerId, replaceNode }: PromotionOrder,
  configuration: Configuration
): readonly NodeId[] {
  const kept = votersOf(configuration).filter((id) => id !== replaceNode)
  return [...kept, learnerId].toSorted((a, b) => a - b)
}

function detail(
  code: ErrorCode,
  message: string,
  more: Pick<ErrorDetail, 'hint' | 'fields'>
): ErrorDetail {
  return { code, message, ...more }
}

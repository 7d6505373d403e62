// The growth rule (DESIGN §6), as a pure decision: how many voters a cluster of this size has, and
// which learners become voters now. A cluster has an odd number of voters, at most the target; it
// grows from 1 to 3 and from 3 to 5 in one joint change, so that no step lowers what it tolerates.

import { MAX_PROMOTION_LAG, PROMOTION_STABILITY_MS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Status } from '../raft/effects.ts'
import { isJoint, learnersOf, votersOf } from '../raft/configuration.ts'

export interface GrowthInput {
  readonly status: Status
  /** voters wanted; odd */
  readonly targetVoters: number
  /** learners that were let in to vote one day */
  readonly isEligible: (id: NodeId) => boolean
  readonly isLinked: (id: NodeId) => boolean
  /** since when each learner has been linked and caught up; kept by `LeaderDuties` */
  readonly readySinceMs: ReadonlyMap<NodeId, number>
  readonly nowMs: number
  /** how often a learner that lives is heard of */
  readonly heartbeatMs: number
}

/** The learners to promote now, in one change; empty for none. */
export function promotionsDue(input: GrowthInput): readonly NodeId[] {
  const { configuration } = input.status
  if (isJoint(configuration)) return []
  const voterCount = votersOf(configuration).length
  const ready = learnersOf(configuration).filter((id) => isStable(input, id))
  const wanted = oddAtMost(Math.min(input.targetVoters, voterCount + ready.length))
  return wanted > voterCount ? ready.slice(0, wanted - voterCount) : []
}

/** Voters that a cluster with this many members able to vote has, once it is grown. */
export function votersWhenGrown(eligibleCount: number, targetVoters: number): number {
  return oddAtMost(Math.min(targetVoters, eligibleCount))
}

type ReadinessInput = Omit<GrowthInput, 'readySinceMs' | 'nowMs' | 'heartbeatMs'>

/** Whether a learner is linked and within MAX_PROMOTION_LAG entries of the leader. */
export function isReady(input: ReadinessInput, id: NodeId): boolean {
  const progress = input.status.progress.get(id)
  if (progress === undefined || !input.isEligible(id) || !input.isLinked(id)) return false
  return input.status.lastIndex - progress.matchIndex <= MAX_PROMOTION_LAG
}

function isStable(input: GrowthInput, id: NodeId): boolean {
  const sinceMs = input.readySinceMs.get(id)
  if (sinceMs === undefined || !isReady(input, id)) return false
  return input.nowMs - sinceMs >= PROMOTION_STABILITY_MS && isHeard(input, id)
}

/** A link outlives the machine behind it for a while, and a voter that is gone may be the one that counts. */
function isHeard({ status, nowMs, heartbeatMs }: GrowthInput, id: NodeId): boolean {
  const heardMs = status.progress.get(id)?.heardMs ?? null
  return heardMs !== null && nowMs - heardMs <= 2 * heartbeatMs
}

function oddAtMost(count: number): number {
  return count % 2 === 1 ? count : Math.max(count - 1, 0)
}

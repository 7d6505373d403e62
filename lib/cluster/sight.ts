// Whom a leader has in sight, and how far behind somebody is: what is known on the leader itself, from links
// and from the answers to its heartbeats, never from the text of an error. Pure.

import type { NodeId } from '../node-id.ts'
import type { Status } from '../raft/effects.ts'
import { MAX_PROMOTION_LAG } from '../limits.ts'
import type { Index } from '../raft/entry.ts'
import { majorityOf } from '../raft/quorum.ts'

/** What a leader knows of the other members. */
export interface Sight {
  /** the leader */
  readonly id: NodeId
  readonly status: Status
  readonly isLinked: (id: NodeId) => boolean
  readonly nowMs: number
  readonly heartbeatMs: number
}

/** Has a link, and has answered lately: a link outlives the machine behind it for a while. */
export function isInSight({ id: own, status, isLinked, nowMs, heartbeatMs }: Sight, id: NodeId) {
  if (id === own) return true
  const heardMs = status.progress.get(id)?.heardMs ?? null
  return isLinked(id) && heardMs !== null && nowMs - heardMs <= HEARTBEATS_IN_SIGHT * heartbeatMs
}

/** Entries of the leader's log that the member is not known to have; null: nothing is known of it. */
export function lagOf({ id: own, status }: Sight, id: NodeId): Index | null {
  if (id === own) return 0
  const progress = status.progress.get(id)
  return progress === undefined ? null : status.lastIndex - progress.matchIndex
}

export function isCaughtUp(sight: Sight, id: NodeId): boolean {
  const lag = lagOf(sight, id)
  return lag !== null && lag <= MAX_PROMOTION_LAG
}

/** Whether so many of these voters are such that they are a majority. */
export function isMajority(voters: readonly NodeId[], counts: (id: NodeId) => boolean): boolean {
  return voters.filter(counts).length >= majorityOf(voters.length)
}

/** One that was lost, and a moment in which the process did something else, are no reason to give somebody up. */
const HEARTBEATS_IN_SIGHT = 4

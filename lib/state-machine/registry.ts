// What an applied configuration makes of the registry of nodes: who has gone, what the others are, and when
// the voters were last others. Pure and deterministic, as trust.ts.
//
// Each configuration is compared with the one that was applied before it. So a node that is admitted and in
// no configuration yet is not taken for one that has gone. A voter that leaves is a member of the joint
// configuration and gone from the final one; a learner that leaves together with it is in neither, and goes
// with the first: both are committed, and what is committed is finished. Voters are those of whole
// configurations: in a joint one they are still those before it.

import { MAX_REMOVED_KEYS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration, Member } from '../raft/configuration.ts'
import { isJoint, memberOf, votersOf } from '../raft/configuration.ts'
import type { NodeRecord, RemovedNode, TrustState } from './state-machine.ts'
import type { Stamp } from './trust.ts'
import { withAllClosed } from './trust.ts'

export interface AppliedChange {
  /** applied until now */
  readonly before: Configuration
  readonly after: Configuration
}

/**
 * The trust state after a configuration: records of members that are gone from it go, and their keys are never let
 * in again; who was made a voter may be one by the growth rule too, and who was made a learner may not; and
 * if somebody was removed, nobody comes in any more by a ticket that he may have seen.
 * @returns the same object when nothing changed
 */
export function afterChange(state: TrustState, change: AppliedChange, at: Stamp): TrustState {
  const gone = change.before.members.filter(({ id }) => memberOf(change.after, id) === undefined)
  const ids = new Set(gone.map(({ id }) => id))
  const roles = newRoles(change)
  const staying = state.nodes.filter(({ id }) => !ids.has(id))
  const nodes = staying.map((node) => withRole(node, roles.get(node.id)))
  const isSame =
    nodes.length === state.nodes.length && nodes.every((node) => state.nodes.includes(node))
  const roled = isSame ? state : { ...state, nodes }
  if (gone.length === 0) return roled
  const invites = withAllClosed(state.invites, at)
  return { ...roled, invites, removed: withRemoved(state.removed, gone, at) }
}

/** Whether this change ends with other voters than there were. The first configuration changes nothing. */
export function hasOtherVoters({ before, after }: AppliedChange): boolean {
  const voters = settledVoters(before)
  if (voters.length === 0 || isJoint(after)) return false
  const now = votersOf(after)
  return now.length !== voters.length || now.some((id) => !voters.includes(id))
}

/** Of members whose vote was given or taken. */
function newRoles({ before, after }: AppliedChange): ReadonlyMap<NodeId, NodeRecord['role']> {
  const roles = new Map<NodeId, NodeRecord['role']>()
  if (isJoint(after)) return roles
  const voters = settledVoters(before)
  for (const { id, role } of after.members) {
    if (role === 'voter' && !voters.includes(id)) roles.set(id, 'voter')
    if (role === 'learner' && voters.includes(id)) roles.set(id, 'learner')
  }
  return roles
}

function withRole(node: NodeRecord, role: NodeRecord['role'] | undefined): NodeRecord {
  return role === undefined || role === node.role ? node : { ...node, role }
}

/** Those of the last configuration that was not joint. */
function settledVoters(configuration: Configuration): readonly NodeId[] {
  return isJoint(configuration) ? configuration.outgoing : votersOf(configuration)
}

/** By id, each of which goes once; those removed first are forgotten when there are too many. */
function withRemoved(
  removed: readonly RemovedNode[],
  gone: readonly Member[],
  at: Stamp
): readonly RemovedNode[] {
  const isNew = ({ id }: Member): boolean => removed.every((each) => each.id !== id)
  const added = gone.filter(isNew).map(({ id, publicKey }) => ({ id, publicKey, atMs: at.timeMs }))
  const all = [...removed, ...added]
  const excess = Math.max(0, all.length - MAX_REMOVED_KEYS)
  const forgotten = new Set(all.toSorted((a, b) => a.atMs - b.atMs || a.id - b.id).slice(0, excess))
  return all.filter((each) => !forgotten.has(each)).toSorted((a, b) => a.id - b.id)
}

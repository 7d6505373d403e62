// What a change makes of a configuration: pure. A change of the voters goes through a joint
// configuration (thesis 4.3), whatever its size; a change of learners alone does not need one,
// because both configurations have the same quorums.

import { assert } from '../assert.ts'
import { MAX_MEMBERS, MAX_VOTERS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import { isNodeId } from '../node-id.ts'
import type { Configuration, ConfigurationChange, Member, MemberRole } from './configuration.ts'
import { isJoint, memberOf, votersOf } from './configuration.ts'

/** The next configuration (joint if the voters change), or null if the change makes no sense. */
export function changed(
  configuration: Configuration,
  change: ConfigurationChange
): Configuration | null {
  assert(!isJoint(configuration), 'only one change is in flight')
  if (!isSensible(configuration, change)) return null
  const kept = configuration.members.map((member) => changedMember(member, change))
  const members = [...kept, ...change.add].toSorted((a, b) => a.id - b.id)
  const voters = members.filter((member) => member.role === 'voter').map((member) => member.id)
  if (voters.length === 0 || voters.length > MAX_VOTERS || members.length > MAX_MEMBERS) return null
  const before = votersOf(configuration)
  const isSameVoters =
    before.length === voters.length && before.every((id, at) => id === voters[at])
  return isSameVoters ? withoutLeaving(members) : joint(members, change, before)
}

/** What follows a joint configuration: the same members without those that leave. */
export function leftJoint(configuration: Configuration): Configuration {
  assert(isJoint(configuration), 'there is a joint configuration to leave')
  const next = withoutLeaving(configuration.members)
  assert(votersOf(next).length > 0, 'somebody can still vote')
  return next
}

function isSensible(configuration: Configuration, change: ConfigurationChange): boolean {
  const added = change.add.map((member) => member.id)
  const named = [...added, ...change.promote, ...change.demote, ...change.remove]
  if (named.length === 0 || new Set(named).size !== named.length) return false
  const keys = [...configuration.members, ...change.add].map((member) => member.publicKey.join())
  if (new Set(keys).size !== keys.length) return false
  const roleOf = (id: NodeId): MemberRole | undefined => memberOf(configuration, id)?.role
  return (
    change.add.every(
      ({ id, role }) => isNodeId(id) && role === 'learner' && roleOf(id) === undefined
    ) &&
    change.promote.every((id) => roleOf(id) === 'learner') &&
    change.demote.every((id) => roleOf(id) === 'voter') &&
    change.remove.every((id) => roleOf(id) !== undefined)
  )
}

function changedMember(member: Member, change: ConfigurationChange): Member {
  if (change.promote.includes(member.id)) return { ...member, role: 'voter' }
  if (change.demote.includes(member.id)) return { ...member, role: 'learner' }
  if (change.remove.includes(member.id)) return { ...member, role: 'leaving' }
  return member
}

/** Removed learners have no vote to keep during the joint phase: they go at once. */
function joint(
  members: readonly Member[],
  change: ConfigurationChange,
  before: readonly NodeId[]
): Configuration {
  const goesNow = (member: Member): boolean =>
    change.remove.includes(member.id) && !before.includes(member.id)
  return { members: members.filter((member) => !goesNow(member)), outgoing: before }
}

function withoutLeaving(members: readonly Member[]): Configuration {
  return { members: members.filter((member) => member.role !== 'leaving'), outgoing: [] }
}

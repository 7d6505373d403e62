// Who belongs to the cluster, and whose answers make a quorum. A configuration entry carries all of
// it, so a node that has the log needs nothing else to know its peers (DESIGN §3).
//
// Joint consensus (Ongaro's thesis, 4.3): while `outgoing` is not empty, every decision needs a
// quorum of the voters *and* of the outgoing set.

import type { Address } from '../address.ts'
import type { NodeId } from '../node-id.ts'

/** `leaving` members are in the outgoing set only, and gone when the joint phase ends. */
export type MemberRole = 'voter' | 'learner' | 'leaving'

export interface Member {
  readonly id: NodeId
  /** 32 bytes; one key never has two ids */
  readonly publicKey: Uint8Array
  readonly role: MemberRole
  /** where it was reachable when it was admitted; a hint */
  readonly addresses: readonly Address[]
}

export interface Configuration {
  /** ascending by id, at most MAX_MEMBERS */
  readonly members: readonly Member[]
  /** the voters before the change in progress, ascending; empty unless joint */
  readonly outgoing: readonly NodeId[]
}

export const EMPTY_CONFIGURATION: Configuration = { members: [], outgoing: [] }

/** What a change asks for. Roles of members that are not named stay. */
export interface ConfigurationChange {
  /** new members; learners, except in the first configuration of a cluster */
  readonly add: readonly Member[]
  readonly promote: readonly NodeId[]
  readonly demote: readonly NodeId[]
  readonly remove: readonly NodeId[]
}

export function votersOf(configuration: Configuration): readonly NodeId[] {
  return configuration.members.filter(isVoter).map((member) => member.id)
}

export function learnersOf(configuration: Configuration): readonly NodeId[] {
  return configuration.members.filter(isLearner).map((member) => member.id)
}

export function memberOf(configuration: Configuration, id: NodeId): Member | undefined {
  return configuration.members.find((member) => member.id === id)
}

export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0
}

function isVoter(member: Member): boolean {
  return member.role === 'voter'
}

function isLearner(member: Member): boolean {
  return member.role === 'learner'
}

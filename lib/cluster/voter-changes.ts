// What becomes of the members when somebody says who shall vote, or who shall go: which change that is, or why
// it is refused. A change that a majority of the new voters, as the leader sees them, could not agree to is
// refused: nothing would be committed any more, and not even the way back. Pure.

import type { ErrorDetail } from '../errors.ts'
import { MAX_VOTERS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { ConfigurationChange } from '../raft/configuration.ts'
import { learnersOf, memberOf, votersOf } from '../raft/configuration.ts'
import { majorityOf } from '../raft/quorum.ts'
import type { Sight } from './sight.ts'
import { isCaughtUp, isInSight, isMajority, lagOf } from './sight.ts'

export type ChangePlan =
  | { readonly kind: 'refused'; readonly error: ErrorDetail }
  /** `voters`: those after it, ascending */
  | {
      readonly kind: 'planned'
      readonly change: ConfigurationChange
      readonly voters: readonly NodeId[]
    }
  /** it is so already */
  | { readonly kind: 'nothing' }

/**
 * These and no others shall vote; voters that are left out become learners. `expected`: who votes before, by what
 * the caller knows; null: whoever does.
 */
export function planVoters(
  wanted: readonly NodeId[],
  sight: Sight,
  expected: readonly NodeId[] | null = null
): ChangePlan {
  const { configuration } = sight.status
  const voters = [...new Set(wanted)].toSorted((a, b) => a - b)
  const stranger = voters.find((id) => !isPresent(sight, id))
  if (voters.length === 0) return refused(INVALID, 'members must include at least one voter')
  if (voters.length < wanted.length) return refused(INVALID, 'a member is named twice')
  if (stranger !== undefined) return { kind: 'refused', error: memberNotFound(stranger) }
  if (voters.length > MAX_VOTERS) return { kind: 'refused', error: tooManyVoters() }
  const before = votersOf(configuration)
  if (expected !== null && !isSameSet(expected, before)) {
    return { kind: 'refused', error: otherVoters(before, expected) }
  }
  const promote = voters.filter((id) => !before.includes(id))
  const demote = before.filter((id) => !voters.includes(id))
  if (promote.length + demote.length === 0) return { kind: 'nothing' }
  const error = whyNoQuorum(voters, sight)
  if (error !== null) return { kind: 'refused', error }
  return { kind: 'planned', change: { add: [], promote, demote, remove: [] }, voters }
}

export interface RemovalOrder {
  readonly id: NodeId
  /** though the voters in sight are no majority of those that remain */
  readonly force: boolean
  /** learners that were let in to vote one day */
  readonly isEligible: (id: NodeId) => boolean
}

/** This member shall go; in a voter's place comes a learner that may, if there is one. */
export function planRemoval(order: RemovalOrder, sight: Sight): ChangePlan {
  const { id, force } = order
  const { configuration } = sight.status
  if (!isPresent(sight, id)) return { kind: 'refused', error: memberNotFound(id) }
  const before = votersOf(configuration)
  const promote = before.includes(id) ? substitutesFor(order, sight) : []
  const voters = [...before.filter((voter) => voter !== id), ...promote].toSorted((a, b) => a - b)
  if (voters.length === 0) return { kind: 'refused', error: lastVoter(id) }
  const error = force ? null : whyNoQuorum(voters, sight)
  if (error !== null) return { kind: 'refused', error }
  return { kind: 'planned', change: { add: [], promote, demote: [], remove: [id] }, voters }
}

/** The learner that is least behind, of those that may vote, are in sight and have caught up; at most one. */
export function substitutesFor(
  { id: leaving, isEligible }: Pick<RemovalOrder, 'id' | 'isEligible'>,
  sight: Sight
): readonly NodeId[] {
  return learnersOf(sight.status.configuration)
    .filter((id) => id !== leaving && isEligible(id))
    .filter((id) => isInSight(sight, id) && isCaughtUp(sight, id))
    .toSorted((a, b) => (lagOf(sight, a) ?? 0) - (lagOf(sight, b) ?? 0) || a - b)
    .slice(0, 1)
}

export function memberNotFound(id: NodeId): ErrorDetail {
  return {
    code: 'MEMBER_NOT_FOUND',
    message: `no member has the id ${id}`,
    hint: "'aspen members' shows who belongs to the cluster",
    fields: { id }
  }
}

function isSameSet(some: readonly NodeId[], others: readonly NodeId[]): boolean {
  return some.length === others.length && others.every((id) => some.includes(id))
}

function otherVoters(before: readonly NodeId[], expected: readonly NodeId[]): ErrorDetail {
  return {
    code: 'CONDITION_FAILED',
    message: `the voters are ${before.join(', ')}; they were expected to be ${expected.join(', ')}`,
    hint: "somebody changed them meanwhile: 'aspen members' shows them; decide anew"
  }
}

function isPresent({ status }: Sight, id: NodeId): boolean {
  const member = memberOf(status.configuration, id)
  return member !== undefined && member.role !== 'leaving'
}

/** Who is to vote anew counts when it has caught up: until then it could acknowledge nothing new. */
function whyNoQuorum(voters: readonly NodeId[], sight: Sight): ErrorDetail | null {
  const before = votersOf(sight.status.configuration)
  const counts = (id: NodeId): boolean =>
    isInSight(sight, id) && (before.includes(id) || isCaughtUp(sight, id))
  if (isMajority(voters, counts)) return null
  const absent = voters.filter((id) => !counts(id))
  const needed = majorityOf(voters.length)
  return {
    code: 'QUORUM_WOULD_BE_LOST',
    message:
      `of the voters ${voters.join(', ')} a majority of ${needed} must be in sight and caught up, ` +
      `and ${absent.join(', ')} ${absent.length === 1 ? 'is' : 'are'} not`,
    hint: 'start those first, or choose others: with these, nothing could be written any more',
    fields: { in_sight: voters.length - absent.length, needed }
  }
}

function lastVoter(id: NodeId): ErrorDetail {
  return {
    code: 'LAST_VOTER',
    message: `node ${id} is the last voter, and no learner that may vote has caught up`,
    hint: 'let another node join and wait until it has caught up',
    fields: { id }
  }
}

export function tooManyVoters(): ErrorDetail {
  const message = `Maximum voters (${MAX_VOTERS}) would be exceeded`
  return { code: 'MAX_VOTERS_EXCEEDED', message, fields: { max: MAX_VOTERS } }
}

const INVALID = 'INVALID_REQUEST'

function refused(code: typeof INVALID, message: string): ChangePlan {
  return { kind: 'refused', error: { code, message } }
}

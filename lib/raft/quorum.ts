// Majorities. One function answers every question that the core asks of a quorum: the highest value
// that a majority of each active set has reached. Values are match indexes (commit), rounds (reads),
// times (CheckQuorum) or votes (0 and 1).

import { assert } from '../assert.ts'
import { MAX_VOTERS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from './configuration.ts'
import { votersOf } from './configuration.ts'

/** The sets that must agree, both of them while the configuration is joint. */
export interface Voters {
  readonly incoming: readonly NodeId[]
  /** empty unless joint */
  readonly outgoing: readonly NodeId[]
}

export type ValueOf = (id: NodeId) => number

export function votersIn(configuration: Configuration): Voters {
  return { incoming: votersOf(configuration), outgoing: configuration.outgoing }
}

/** The highest value that a majority of each active set has reached (R7). Does not allocate. */
export function quorumValue(voters: Voters, valueOf: ValueOf): number {
  const incoming = majorityValue(voters.incoming, valueOf)
  if (voters.outgoing.length === 0) return incoming
  return Math.min(incoming, majorityValue(voters.outgoing, valueOf))
}

export function isVoterIn(voters: Voters, id: NodeId): boolean {
  return voters.incoming.includes(id) || voters.outgoing.includes(id)
}

/** Whether `id` is a quorum by itself. */
export function isAlone(voters: Voters, id: NodeId): boolean {
  const isOnly = (set: readonly NodeId[]): boolean => set.length === 1 && set[0] === id
  return isOnly(voters.incoming) && (voters.outgoing.length === 0 || isOnly(voters.outgoing))
}

/** Every voter of either set, each once, ascending. */
export function allVoters(voters: Voters): readonly NodeId[] {
  const ids = new Set([...voters.incoming, ...voters.outgoing])
  return [...ids].toSorted((a, b) => a - b)
}

export function majorityOf(count: number): number {
  assert(count > 0, 'an empty set has no majority')
  return Math.floor(count / 2) + 1
}

/** The value that the majority's last member has, members sorted from the highest value down. */
function majorityValue(ids: readonly NodeId[], valueOf: ValueOf): number {
  assert(
    ids.length > 0 && ids.length <= MAX_VOTERS,
    'a set of voters is neither empty nor too large'
  )
  let count = 0
  for (const id of ids) {
    const value = valueOf(id)
    let place = count++
    while (place > 0 && at(place - 1) < value) {
      scratch[place] = at(place - 1)
      place--
    }
    scratch[place] = value
  }
  return at(majorityOf(count) - 1)
}

/** Holds values during one call of majorityValue, which never nests. */
const scratch = new Float64Array(MAX_VOTERS)

function at(place: number): number {
  const value = scratch[place]
  assert(value !== undefined, 'the place is within the array')
  return value
}

// Who voted for whom, over all lives of all nodes: a vote is cast when the message that says so leaves,
// or when a candidate's own vote is on its disk.

import type { NodeId } from '../node-id.ts'
import type { Term } from '../raft/entry.ts'
import type { HardState } from '../raft/effects.ts'

export class VoteRecord {
  readonly #hardStateOf: (id: NodeId) => HardState | null
  /** voter and term → candidate */
  readonly #votes = new Map<string, NodeId>()

  constructor(hardStateOf: (id: NodeId) => HardState | null) {
    this.#hardStateOf = hardStateOf
  }

  /** A vote leaves its node. Returns what is wrong with it, or null. */
  cast(voter: NodeId, term: Term, candidate: NodeId): string | null {
    const key = `${voter}/${term}`
    const known = this.#votes.get(key) ?? candidate
    if (known !== candidate) return `${voter} votes for ${known} and ${candidate} in ${term}`
    const durable = this.#hardStateOf(voter)
    const isDurable = durable !== null && (durable.term > term || durable.votedFor === candidate)
    if (!isDurable) return `the vote of ${voter} in term ${term} is not on its disk`
    this.#votes.set(key, candidate)
    return null
  }

  /** Those of `voters` that voted for `candidate`. */
  of(voters: readonly NodeId[], term: Term, candidate: NodeId): readonly NodeId[] {
    const own = this.#hardStateOf(candidate)
    const isOwnDurable = own !== null && own.term === term && own.votedFor === candidate
    return voters.filter((voter) => {
      const isOwn = voter === candidate && isOwnDurable
      return isOwn || this.#votes.get(`${voter}/${term}`) === candidate
    })
  }
}

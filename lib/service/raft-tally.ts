// How often the leader changed and how elections ended, as far as the changes of a node's own status show it:
// the consensus core counts nothing.

import type { Role, Status as CoreStatus } from '../raft/effects.ts'

export interface RaftTallyParts {
  /** another leader than the one seen last */
  readonly onLeaderChange: () => void
  /** this node stood: `prevote_rejected` when the others would not have it */
  readonly onElection: (result: 'won' | 'lost' | 'prevote_rejected') => void
}

export class RaftTally {
  readonly #parts: RaftTallyParts
  #role: Role = 'follower'
  #leader: number | null = null

  constructor(parts: RaftTallyParts) {
    this.#parts = parts
  }

  /** Call when role, term or leader changed. */
  look({ role, leader }: Pick<CoreStatus, 'role' | 'leader'>): void {
    const before = this.#role
    this.#role = role
    if (role === 'leader' && before !== 'leader') this.#parts.onElection('won')
    else if (before === 'candidate' && role !== 'candidate') this.#parts.onElection('lost')
    else if (before === 'preCandidate' && role === 'follower') {
      this.#parts.onElection('prevote_rejected')
    }
    if (leader === null || leader === this.#leader) return
    this.#leader = leader
    this.#parts.onLeaderChange()
  }
}

// What was proposed and is not settled yet: first waiting for the log write before it to end (group
// commit), then appended and waiting to be applied. One bound covers both, so that the queue of a
// leader that cannot commit is full after MAX_PENDING_PROPOSALS, not after the memory.
//
// An appended proposal is settled by what is applied at its index: the same term, and it was done;
// another term, and it was overwritten, so nothing happened. A change of leadership in between
// settles nothing by itself.

import { assert } from '../assert.ts'
import { MAX_APPEND_BYTES, MAX_APPEND_ENTRIES } from '../limits.ts'
import { MAX_PENDING_PROPOSALS, MAX_PENDING_PROPOSAL_BYTES } from '../limits.ts'
import type { RefusalReason } from '../raft/effects.ts'
import type { Entry, Index, Term } from '../raft/entry.ts'
import type { ApplyResult } from '../state-machine/state-machine.ts'

/** How a proposal ended; `refused` means that it had and will have no effect. */
export type Outcome =
  | { readonly kind: 'done'; readonly index: Index; readonly result: ApplyResult }
  | { readonly kind: 'refused'; readonly reason: Refusal }
  | { readonly kind: 'unknown' }

/** Why nothing happened. `overwritten`: another entry was committed in its place. */
export type Refusal = RefusalReason | 'overwritten' | 'closing'

export interface Proposal {
  readonly kind: number
  readonly payload: Uint8Array
  readonly onOutcome: (outcome: Outcome) => void
}

interface Appended {
  readonly term: Term
  readonly proposal: Proposal
}

export class Proposals {
  readonly #waiting: Proposal[] = []
  readonly #appended = new Map<Index, Appended>()
  /** payload bytes of all proposals that are not settled */
  #byteCount = 0

  get waitingCount(): number {
    return this.#waiting.length
  }

  get pendingCount(): number {
    return this.#waiting.length + this.#appended.size
  }

  /** Whether there was room; without room the proposal was not taken. */
  maybeAdd(proposal: Proposal): boolean {
    const bytes = this.#byteCount + proposal.payload.byteLength
    if (this.pendingCount >= MAX_PENDING_PROPOSALS || bytes > MAX_PENDING_PROPOSAL_BYTES) {
      return false
    }
    this.#waiting.push(proposal)
    this.#byteCount = bytes
    return true
  }

  /** The next batch to append: at least one proposal, bounded like an AppendEntries message. */
  takeBatch(): readonly Proposal[] {
    assert(this.#waiting.length > 0, 'a batch is taken from waiting proposals')
    let byteCount = 0
    let count = 0
    for (const proposal of this.#waiting) {
      byteCount += proposal.payload.byteLength
      if (count > 0 && (byteCount > MAX_APPEND_BYTES || count >= MAX_APPEND_ENTRIES)) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  onAppended(batch: readonly Proposal[], term: Term, from: Index): void {
    batch.forEach((proposal, offset) => {
      const before = this.#appended.get(from + offset)
      if (before !== undefined) this.#settle(before.proposal, OVERWRITTEN)
      this.#appended.set(from + offset, { term, proposal })
    })
  }

  onRefused(batch: readonly Proposal[], reason: RefusalReason): void {
    for (const proposal of batch) this.#settle(proposal, { kind: 'refused', reason })
  }

  /** The node ended before the core said anything. */
  onUnanswered(batch: readonly Proposal[]): void {
    for (const proposal of batch) this.#settle(proposal, { kind: 'unknown' })
  }

  onApplied(entry: Entry, result: ApplyResult): void {
    const appended = this.#appended.get(entry.index)
    if (appended === undefined) return
    this.#appended.delete(entry.index)
    const isOurs = appended.term === entry.term
    this.#settle(
      appended.proposal,
      isOurs ? { kind: 'done', index: entry.index, result } : OVERWRITTEN
    )
  }

  /** The node ends: what never was appended is refused, of the rest nobody knows. */
  endAll(): void {
    for (const proposal of this.#waiting.splice(0)) {
      this.#settle(proposal, { kind: 'refused', reason: 'closing' })
    }
    const appended = [...this.#appended.values()]
    this.#appended.clear()
    for (const { proposal } of appended) this.#settle(proposal, { kind: 'unknown' })
    assert(this.#byteCount === 0, 'every byte of a settled proposal is given back')
  }

  #settle(proposal: Proposal, outcome: Outcome): void {
    this.#byteCount -= proposal.payload.byteLength
    assert(this.#byteCount >= 0, 'bytes are given back once')
    proposal.onOutcome(outcome)
  }
}

const OVERWRITTEN: Outcome = { kind: 'refused', reason: 'overwritten' }

// What was proposed and is not settled yet: first waiting for the log write before it to end (group
// commit), then appended and waiting to be applied. One bound covers both, so that the queue of a
// leader that cannot commit is full after MAX_PENDING_PROPOSALS, not after the memory.
//
// An appended proposal is settled by what is applied, and by nothing else. At its index: of the same
// term, and it was done; of another, and it was overwritten, so nothing happened. Before its index, of
// a later term: overwritten too, because terms never fall along a log. Losing the leadership, or a
// truncation here, settles nothing: another member may still hold the entry and have it committed.

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

/**
 * Why nothing happened. `overwritten`: another entry was committed in its place. `diskFull`, `storeFull`:
 * the leader did not propose it (service/write-gate.ts).
 */
export type Refusal = RefusalReason | 'overwritten' | 'closing' | 'diskFull' | 'storeFull'

export interface Proposal {
  readonly kind: number
  readonly payload: Uint8Array
  readonly onOutcome: (outcome: Outcome) => void
}

interface Appended {
  readonly term: Term
  readonly index: Index
  readonly proposal: Proposal
}

export class Proposals {
  readonly #waiting: Proposal[] = []
  /** in the order of appending; two may have one index, in different terms */
  readonly #appended = new Set<Appended>()
  readonly #maxCount: number
  /** payload bytes of all proposals that are not settled */
  #byteCount = 0

  /** at most so many are taken that are not settled */
  constructor(maxCount: number = MAX_PENDING_PROPOSALS) {
    assert(maxCount <= MAX_PENDING_PROPOSALS, 'the bound may be set lower')
    this.#maxCount = maxCount
  }

  get waitingCount(): number {
    return this.#waiting.length
  }

  get pendingCount(): number {
    return this.#waiting.length + this.#appended.size
  }

  /** Whether there was room; without room the proposal was not taken. */
  maybeAdd(proposal: Proposal): boolean {
    const bytes = this.#byteCount + proposal.payload.byteLength
    if (this.pendingCount >= this.#maxCount || bytes > MAX_PENDING_PROPOSAL_BYTES) {
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
      this.#appended.add({ term, index: from + offset, proposal })
    })
  }

  onRefused(batch: readonly Proposal[], reason: Refusal): void {
    for (const proposal of batch) this.#settle(proposal, { kind: 'refused', reason })
  }

  /** The node ended while the core was at it: nobody knows whether it was written. */
  onUnanswered(batch: readonly Proposal[]): void {
    for (const proposal of batch) this.#settle(proposal, { kind: 'unknown' })
  }

  /** Call with every applied entry, in order. */
  onApplied(entry: Entry, result: ApplyResult): void {
    for (const appended of this.#appended) {
      const { index, term, proposal } = appended
      // terms and, within one, indexes ascend here: nothing behind this one is settled by the entry
      if (index > entry.index && term >= entry.term) break
      const isOurs = index === entry.index && term === entry.term
      const isOverwritten = index === entry.index || (index > entry.index && term < entry.term)
      if (!isOurs && !isOverwritten) continue
      this.#appended.delete(appended)
      this.#settle(proposal, isOurs ? { kind: 'done', index, result } : OVERWRITTEN)
    }
  }

  /** A snapshot took the place of the entries up to `index`: of proposals there nobody knows here any more. */
  onInstalled(index: Index): void {
    for (const appended of this.#appended) {
      if (appended.index > index) continue
      this.#appended.delete(appended)
      this.#settle(appended.proposal, { kind: 'unknown' })
    }
  }

  /** The node ends: what never was appended is refused, of the rest nobody knows. */
  endAll(): void {
    for (const proposal of this.#waiting.splice(0)) {
      this.#settle(proposal, { kind: 'refused', reason: 'closing' })
    }
    const appended = [...this.#appended]
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

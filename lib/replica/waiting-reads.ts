// Reads whose index is confirmed and which wait until the state machine has applied it. Together
// with those that the core is still confirming they are at most MAX_PENDING_READS: a state machine
// that is behind must not make a node collect reads without end.

import { assert } from '../assert.ts'
import { MAX_PENDING_READS } from '../limits.ts'
import type { Index } from '../raft/entry.ts'
import type { Refusal } from './proposals.ts'

export type ReadOutcome =
  /** the state machine has applied `index` (of `readIndex`: will have to): read it now, in this turn */
  | { readonly kind: 'ready'; readonly index: Index }
  | { readonly kind: 'refused'; readonly reason: Refusal }

export type OnRead = (outcome: ReadOutcome) => void

interface WaitingRead {
  readonly index: Index
  readonly onOutcome: OnRead
}

export class WaitingReads {
  readonly #reads = new Set<WaitingRead>()
  /** handed to the core, not answered by it */
  #askedCount = 0

  get isFull(): boolean {
    return this.#reads.size + this.#askedCount >= MAX_PENDING_READS
  }

  /** A read is on its way through the core. */
  onAsked(): void {
    assert(!this.isFull, 'there is room for the read')
    this.#askedCount++
  }

  /** The core answered it, either way. */
  onAnswered(): void {
    this.#askedCount--
    assert(this.#askedCount >= 0, 'the core answers each read once')
  }

  /** Returns how to give up. */
  add(index: Index, onOutcome: OnRead): () => void {
    const read = { index, onOutcome }
    this.#reads.add(read)
    return () => {
      this.#reads.delete(read)
    }
  }

  /** Answers those whose index is applied. */
  answer(applied: Index): void {
    for (const read of this.#reads) {
      if (read.index > applied) continue
      this.#reads.delete(read)
      read.onOutcome({ kind: 'ready', index: applied })
    }
  }

  /** The node ends. */
  endAll(): void {
    const reads = [...this.#reads]
    this.#reads.clear()
    for (const { onOutcome } of reads) onOutcome({ kind: 'refused', reason: 'closing' })
  }
}

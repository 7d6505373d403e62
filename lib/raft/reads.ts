// Linearizable reads without the log (ReadIndex, thesis 6.4). A read is answered when a heartbeat
// round that began after the read arrived has been answered by a quorum: then this node was still
// the leader, and no other leader had committed anything that the read does not see.
//
// Rounds are numbered by the core, never used twice in a boot, and named together with the boot
// counter (R11, B51). Reads that come before the term's first entry is committed wait for it (B50).

import { assert } from '../assert.ts'
import { MAX_PENDING_READS } from '../limits.ts'
import type { Index } from './entry.ts'
import type { Ref } from './effects.ts'

export interface ConfirmedRead {
  readonly ref: Ref
  readonly index: Index
}

interface StartedRead extends ConfirmedRead {
  readonly round: number
}

export class PendingReads {
  /** arrived since the last round began */
  #waiting: Ref[] = []
  /** ascending by round */
  #started: StartedRead[] = []

  get count(): number {
    return this.#waiting.length + this.#started.length
  }

  get isFull(): boolean {
    return this.count >= MAX_PENDING_READS
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** Whether reads wait for the answers to a round. */
  get hasStarted(): boolean {
    return this.#started.length > 0
  }

  add(ref: Ref): void {
    assert(!this.isFull, 'there is room for the read')
    this.#waiting.push(ref)
  }

  /** `round` begins now: it serves every read that waits, at the commit index of this moment. */
  start(round: number, commitIndex: Index): void {
    assert((this.#started.at(-1)?.round ?? 0) < round, 'rounds ascend')
    for (const ref of this.#waiting) this.#started.push({ ref, index: commitIndex, round })
    this.#waiting = []
  }

  /** A quorum has answered `round` or a later one: the reads that may be answered now. */
  confirm(round: number): readonly ConfirmedRead[] {
    const open = this.#started.findIndex((read) => read.round > round)
    const confirmed = this.#started.splice(0, open === -1 ? this.#started.length : open)
    return confirmed.map(({ ref, index }) => ({ ref, index }))
  }

  /** Every read, oldest first; none is left. */
  drain(): readonly Ref[] {
    const refs = [...this.#started.map((read) => read.ref), ...this.#waiting]
    this.#started = []
    this.#waiting = []
    return refs
  }
}

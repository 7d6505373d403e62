// How long the work of a replica takes: writes to the log, batches of proposals until they are committed,
// batches of entries that are applied. For whoever counts, and to see that something does not end.

import type { Clock } from '../clock.ts'
import type { Status } from '../raft/effects.ts'
import type { Index } from '../raft/entry.ts'

/** What a replica tells of how long its work takes, in milliseconds. */
export interface ReplicaObserver {
  /** a write to the log, with its wait for the one before it */
  onWritten(durationMs: number): void
  /** a batch of proposals of this leader */
  onCommitted(durationMs: number): void
  onApplied(entryCount: number, durationMs: number): void
}

export class Durations {
  readonly #clock: Clock
  readonly #observer: ReplicaObserver | null
  /** when the writes that have not ended began, the oldest first */
  readonly #writes: number[] = []
  /** batches that are not committed, ascending */
  readonly #batches: { readonly to: Index; readonly beganMs: number }[] = []

  constructor(clock: Clock, observer: ReplicaObserver | null) {
    this.#clock = clock
    this.#observer = observer
  }

  onWrite(): void {
    this.#writes.push(this.#clock.nowMs())
  }

  /** The oldest write has ended. */
  onDurable(): void {
    const beganMs = this.#writes.shift()
    if (beganMs !== undefined) this.#observer?.onWritten(this.#clock.nowMs() - beganMs)
  }

  /** For how long the oldest write has been under way; 0 for none. */
  get writeMs(): number {
    const [beganMs] = this.#writes
    return beganMs === undefined ? 0 : this.#clock.nowMs() - beganMs
  }

  /** A leader has appended proposals in [from, to). */
  onAppended(from: Index, to: Index): void {
    if (this.#observer === null || from === to) return
    this.#batches.push({ to, beganMs: this.#clock.nowMs() })
  }

  /** After each step. Batches of a term that was lost are forgotten. */
  onStatus({ role, commitIndex }: Pick<Status, 'role' | 'commitIndex'>): void {
    if (role !== 'leader') this.#batches.length = 0
    for (let [first] = this.#batches; first !== undefined; [first] = this.#batches) {
      if (first.to > commitIndex + 1) return
      this.#batches.shift()
      this.#observer?.onCommitted(this.#clock.nowMs() - first.beganMs)
    }
  }

  onApplied(entryCount: number, beganMs: number): void {
    this.#observer?.onApplied(entryCount, this.#clock.nowMs() - beganMs)
  }
}

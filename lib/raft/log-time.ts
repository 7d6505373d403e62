// The log's own time (DESIGN §3). A leader stamps an entry with the median of a quorum's clocks, or
// with the last stamp if that is later, so stamps never fall (R12) and no minority of wrong clocks
// can move them.
//
// Clocks are learnt from heartbeat answers and advanced by this machine's monotonic time. Until a
// quorum's clocks are known in this leadership, the log's time stands still. A sole voter is its
// own quorum and uses its own clock. A stamp that runs ahead of all clocks (a sole voter's clock was
// set back) also makes time stand still until the clocks catch up; it does not stop writes.

import { assert } from '../assert.ts'
import { MAX_CLOCK_SKEW_MS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Now } from './effects.ts'
import { majorityOf } from './quorum.ts'

export class LogClock {
  readonly #id: NodeId
  /** wall clock minus this machine's monotonic clock, per member that answered */
  readonly #offsets = new Map<NodeId, number>()
  /** the latest stamp in the log; never falls */
  #lastMs: number

  constructor(id: NodeId, lastMs: number) {
    this.#id = id
    this.#lastMs = lastMs
  }

  /** `id` answered now and its clock showed `wallMs`. */
  hear(id: NodeId, wallMs: number, now: Now): void {
    assert(id !== this.#id, 'the own clock is always known')
    this.#offsets.set(id, wallMs - now.nowMs)
  }

  /** Whether this machine's clock is too far from its quorum's to be trusted with stamps. */
  isOff(voters: readonly NodeId[], now: Now): boolean {
    const median = this.#median(voters, now)
    return median !== null && Math.abs(now.wallMs - median) > MAX_CLOCK_SKEW_MS
  }

  /** The time for the next entry: whole milliseconds since the epoch. */
  stamp(voters: readonly NodeId[], now: Now): number {
    const median = this.#median(voters, now) ?? this.#lastMs
    const stamp = Math.max(this.#lastMs, Math.floor(median))
    assert(Number.isSafeInteger(stamp) && stamp >= this.#lastMs, 'stamps never fall')
    this.#lastMs = stamp
    return stamp
  }

  /** The middle clock of a quorum, the earlier of two; null while too few are known. */
  #median(voters: readonly NodeId[], now: Now): number | null {
    assert(voters.length > 0, 'somebody votes')
    const clocks: number[] = []
    for (const id of voters) {
      const offset = id === this.#id ? now.wallMs - now.nowMs : this.#offsets.get(id)
      if (offset !== undefined) clocks.push(now.nowMs + offset)
    }
    if (clocks.length < majorityOf(voters.length)) return null
    clocks.sort((a, b) => a - b)
    return clocks[Math.floor((clocks.length - 1) / 2)] ?? null
  }
}

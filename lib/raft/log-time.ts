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

  /**
   * Whether a majority of the voters agree on a time that is far from this machine's. Where clocks
   * disagree without a majority nobody can say who is wrong, and nothing is refused.
   */
  isOff(voters: readonly NodeId[], now: Now): boolean {
    return this.wrong(voters, now).includes(this.#id)
  }

  /** The voters whose clocks are that far from what a majority agrees on, as far as clocks are known. */
  wrong(voters: readonly NodeId[], now: Now): readonly NodeId[] {
    const quorum = majorityOf(voters.length)
    const clocks = this.#clocks(voters, now)
    const times = clocks.map(({ wallMs }) => wallMs)
    const median = medianOf(times, quorum)
    if (median === null) return []
    const far = clocks.filter(({ wallMs }) => !isNear(wallMs, median))
    return clocks.length - far.length >= quorum ? far.map(({ id }) => id) : []
  }

  /** What the next entry would be stamped: whole milliseconds since the epoch. */
  read(voters: readonly NodeId[], now: Now): number {
    const times = this.#clocks(voters, now).map(({ wallMs }) => wallMs)
    const median = medianOf(times, majorityOf(voters.length)) ?? this.#lastMs
    return Math.max(this.#lastMs, Math.floor(median))
  }

  /** The time for the next entry. */
  stamp(voters: readonly NodeId[], now: Now): number {
    const stamp = this.read(voters, now)
    assert(Number.isSafeInteger(stamp) && stamp >= this.#lastMs, 'stamps never fall')
    this.#lastMs = stamp
    return stamp
  }

  /** What the clocks of `voters` show now, as far as they are known. */
  #clocks(
    voters: readonly NodeId[],
    now: Now
  ): readonly { readonly id: NodeId; readonly wallMs: number }[] {
    const clocks: { readonly id: NodeId; readonly wallMs: number }[] = []
    for (const id of voters) {
      const offset = id === this.#id ? now.wallMs - now.nowMs : this.#offsets.get(id)
      if (offset !== undefined) clocks.push({ id, wallMs: now.nowMs + offset })
    }
    return clocks
  }
}

/** The middle clock, the earlier of two; null while fewer than `quorum` are known. */
function medianOf(times: readonly number[], quorum: number): number | null {
  assert(quorum > 0, 'somebody votes')
  if (times.length < quorum) return null
  const sorted = times.toSorted((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= MAX_CLOCK_SKEW_MS
}

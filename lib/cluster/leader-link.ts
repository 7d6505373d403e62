// A lost link to the leader is news for the core only if no other path appears: connections are
// replaced all the time. 200 to 400 ms after the loss, unless the leader is linked again, the core is
// told that it no longer hears it (DESIGN §3).

import type { Timer, Timers } from '../clock.ts'
import type { NodeId } from '../node-id.ts'
import type { Random } from '../random.ts'
import { randomBelow } from '../random.ts'

export interface LeaderLinkParts {
  readonly timers: Timers
  readonly random: Random
  readonly isLinked: (id: NodeId) => boolean
  readonly onLost: (id: NodeId) => void
}

export class LeaderLink {
  readonly #parts: LeaderLinkParts
  /** at most one per member */
  readonly #pending = new Map<NodeId, Timer>()
  #isClosed = false

  constructor(parts: LeaderLinkParts) {
    this.#parts = parts
  }

  /** The grace begins anew when the link was back meanwhile. */
  onLinkDown(id: NodeId): void {
    if (this.#isClosed) return
    this.#pending.get(id)?.cancel()
    const { timers, random, isLinked, onLost } = this.#parts
    const delayMs = GRACE_MS + randomBelow(random, GRACE_MS)
    const timer = timers.start(delayMs, () => {
      this.#pending.delete(id)
      if (!isLinked(id)) onLost(id)
    })
    this.#pending.set(id, timer)
  }

  close(): void {
    this.#isClosed = true
    for (const timer of this.#pending.values()) timer.cancel()
    this.#pending.clear()
  }
}

const GRACE_MS = 200

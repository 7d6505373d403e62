// Reads the whole log again, slowly, so that damage is found before what is damaged is needed. What it finds
// ends the node, after it has handed its leadership over: the next start has the entry given back by others.
// A node alone in its cluster goes on, and says it: while it runs, a backup of its state can be made.

import type { Timer, Timers } from '../clock.ts'
import { AspenError } from '../errors.ts'
import { SCRUB_INTERVAL_MS, SCRUB_SLICE_MS } from '../limits.ts'
import type { LogStore } from '../log-store/log-store.ts'
import { scrubSlice } from '../log-store/scrub.ts'
import type { Index } from '../raft/entry.ts'

export interface ScrubberParts {
  readonly timers: Timers
  readonly log: Pick<LogStore, 'base' | 'last' | 'entries' | 'idAt'>
  /** whether nobody else is in the cluster */
  readonly isAlone: () => boolean
  /** each damaged entry of a node that is alone, in each pass */
  readonly onAlone: (error: AspenError) => void
  /** tries to give leadership away; resolves when it is tried */
  readonly handOver: () => Promise<void>
  /** once */
  readonly onFailed: (error: AspenError) => void
}

export class Scrubber {
  readonly #parts: ScrubberParts
  #timer: Timer | null = null
  #next: Index = 1
  #isClosed = false

  constructor(parts: ScrubberParts) {
    this.#parts = parts
  }

  /** The first pass begins after SCRUB_INTERVAL_MS: the start has just verified everything. */
  start(): void {
    this.#after(SCRUB_INTERVAL_MS)
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #after(ms: number): void {
    this.#timer = this.#parts.timers.start(ms, () => this.#scrub())
  }

  #scrub(): void {
    if (this.#isClosed) return
    try {
      const found = scrubSlice(this.#parts.log, this.#next)
      if (found.kind === 'damaged') {
        if (!this.#parts.isAlone()) throw found.error
        this.#parts.onAlone(found.error)
        // the one after it verifies by its own hash
        this.#next = found.index + 2
        this.#after(SCRUB_SLICE_MS)
        return
      }
      this.#next = found.next
      this.#after(found.isEnd ? SCRUB_INTERVAL_MS : SCRUB_SLICE_MS)
    } catch (error) {
      if (!(error instanceof AspenError)) throw error
      void this.#end(error)
    }
  }

  /** Never rejects: handing over is a courtesy. */
  async #end(error: AspenError): Promise<void> {
    await this.#parts.handOver().catch(() => {})
    if (!this.#isClosed) this.#parts.onFailed(error)
  }
}

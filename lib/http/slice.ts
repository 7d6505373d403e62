// Long work on one body, cut into turns of the event loop: a reader, a converter or a writer asks
// `isSpent()` at each step and awaits `next()` when it is.

import { setImmediate as nextTurn } from 'node:timers/promises'
import { HTTP_SLICE_MS } from '../limits.ts'

export class Slice {
  #startedMs = performance.now()

  isSpent(): boolean {
    return performance.now() - this.#startedMs >= HTTP_SLICE_MS
  }

  /** Lets everything else of this turn run, and begins a new slice. */
  async next(): Promise<void> {
    await nextTurn()
    this.#startedMs = performance.now()
  }
}

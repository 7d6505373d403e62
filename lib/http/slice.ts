// Long work on one body, cut into turns of the event loop: a reader, a converter or a writer asks
// `isSpent()` at each step and awaits `next()` when it is. Slices of several bodies take one turn each:
// in one turn they would add up.

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

/** Those who await their next slice, at most one per request; shared, since the event loop is. */
const waiting: (() => void)[] = []

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve)
    if (waiting.length === 1) setImmediate(takeTurn)
  })
}

function takeTurn(): void {
  waiting.shift()?.()
  if (waiting.length > 0) setImmediate(takeTurn)
}

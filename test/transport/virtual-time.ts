// A clock and timers that the test moves. Between two timers all microtasks run, as in the simulator.

import type { Clock, Timer, Timers } from '../../lib/clock.ts'

interface Due {
  readonly atMs: number
  readonly order: number
  readonly fn: () => void
  isCancelled: boolean
}

export class VirtualTime implements Clock, Timers {
  #nowMs = 0
  #order = 0
  #due: Due[] = []

  nowMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#nowMs
  }

  start(delayMs: number, fn: () => void): Timer {
    const atMs = this.#nowMs + Math.max(0, delayMs)
    const due: Due = { atMs, order: this.#order++, fn, isCancelled: false }
    this.#due.push(due)
    return {
      cancel: () => {
        due.isCancelled = true
      }
    }
  }

  soon(fn: () => void): void {
    this.start(0, fn)
  }

  /** Lets `durationMs` pass. */
  async pass(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs
    await settle()
    for (let next = this.#next(untilMs); next !== null; next = this.#next(untilMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.fn()
      await settle()
    }
    this.#nowMs = untilMs
  }

  #next(untilMs: number): Due | null {
    this.#due = this.#due.filter((due) => !due.isCancelled)
    const [first] = this.#due.toSorted((a, b) => a.atMs - b.atMs || a.order - b.order)
    if (first === undefined || first.atMs > untilMs) return null
    this.#due = this.#due.filter((due) => due !== first)
    return first
  }
}

/** All microtasks and ticks that are due have run. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

// A deadline that moves: one timer, started anew only when it would fire too late, because most
// deadlines move later.

import type { Clock, Timer, Timers } from '../clock.ts'

export class Deadline {
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #onDue: () => void
  #timer: { readonly handle: Timer; readonly atMs: number } | null = null
  #atMs = Infinity

  /** `onDue` at or after the deadline, once for each `set`. */
  constructor(clock: Clock, timers: Timers, onDue: () => void) {
    this.#clock = clock
    this.#timers = timers
    this.#onDue = onDue
  }

  /** Monotonic milliseconds. */
  set(atMs: number): void {
    this.#atMs = atMs
    if (this.#timer !== null && this.#timer.atMs <= atMs) return
    this.#timer?.handle.cancel()
    const delayMs = Math.max(0, atMs - this.#clock.nowMs())
    const handle = this.#timers.start(delayMs, () => {
      this.#timer = null
      if (this.#clock.nowMs() >= this.#atMs) this.#onDue()
      else this.set(this.#atMs)
    })
    this.#timer = { handle, atMs }
  }

  clear(): void {
    this.#timer?.handle.cancel()
    this.#timer = null
  }
}

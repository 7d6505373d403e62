// A process on the memory network: where it is, and the clock and timers that it lives by. Everything
// that the network delivers to it goes through `later`, on its own timers: so a process that is paused
// gets it when it goes on, in order, and one that is dead never does.

import type { Address } from '../address.ts'
import type { Clock, Timer, Timers } from '../clock.ts'

/** The clock and timers of one process. */
export interface HostTime extends Clock, Timers {
  /** whether the process is stopped at the moment; never when absent */
  readonly isPaused?: boolean
  /** calls `onChange` after each change of `isPaused` */
  watchPauses?(onChange: () => void): void
}

export class MemoryHost {
  readonly address: Address
  readonly time: HostTime
  #isDead = false

  constructor(address: Address, time: HostTime) {
    this.address = address
    this.time = time
  }

  /** Nothing comes from it, not even what keeps a connection alive. */
  get isSilent(): boolean {
    return this.#isDead || this.time.isPaused === true
  }

  kill(): void {
    this.#isDead = true
  }

  later(delayMs: number, fn: () => void): Timer {
    return this.time.start(delayMs, () => {
      if (!this.#isDead) fn()
    })
  }
}

// Runs generators, one at a time, a slice of APPLY_SLICE_MS in each turn of the event loop.

import { assert } from '../assert.ts'
import type { Clock } from '../clock.ts'
import { APPLY_SLICE_MS } from '../limits.ts'

/** Why a generator gave control back: it may go on at once, or when the write-ahead log is smaller. */
export type Pause = 'walFull' | void

export type PausingSteps<T = void> = Generator<Pause, T, void>

export interface Job {
  /** `upkeep` makes way for `work` when it has ended: it is short */
  readonly kind: 'work' | 'upkeep'
  readonly steps: PausingSteps
  readonly onDone: () => void
}

export interface TurnsOptions {
  readonly clock: Clock
  /** The job waits for `resume`. */
  readonly onWalFull: () => void
  /** Nothing is left to do. */
  readonly onIdle: () => void
  readonly onFailed: (error: unknown) => void
}

export class Turns {
  readonly #options: TurnsOptions
  #job: Job | null = null
  /** waits for the upkeep to end */
  #next: Job | null = null
  #isScheduled = false
  #isStopped = false

  constructor(options: TurnsOptions) {
    this.#options = options
  }

  get isWorking(): boolean {
    return this.#job?.kind === 'work' || this.#next !== null
  }

  get isIdle(): boolean {
    return this.#job === null
  }

  start(job: Job): void {
    assert(!this.isWorking, 'one job at a time')
    if (this.#isStopped) return
    if (this.#job === null) this.#job = job
    else this.#next = job
    this.resume()
  }

  /** The next turn comes, if there is anything to do. */
  resume(): void {
    if (this.#isScheduled || this.#job === null) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#turn()
    })
  }

  /** Gives up what is in progress. */
  drop(): void {
    this.#job = null
    this.#next = null
  }

  /** For good. */
  stop(): void {
    this.drop()
    this.#isStopped = true
  }

  #turn(): void {
    const job = this.#job
    if (job === null) return
    try {
      if (!this.#hasEnded(job, this.#options.clock.nowMs() + APPLY_SLICE_MS)) return
    } catch (error) {
      this.#options.onFailed(error)
      return
    }
    this.#job = this.#next
    this.#next = null
    this.resume()
    job.onDone()
    if (this.#job === null && !this.#isStopped) this.#options.onIdle()
  }

  #hasEnded(job: Job, untilMs: number): boolean {
    for (;;) {
      const step = job.steps.next()
      if (step.done === true) return true
      if (step.value === 'walFull') {
        this.#options.onWalFull()
        return false
      }
      if (this.#options.clock.nowMs() >= untilMs) {
        this.resume()
        return false
      }
    }
  }
}

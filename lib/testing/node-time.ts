// One node's view of a virtual time: its own clocks, which may run fast, slow or wrong, and its own
// timers, which stop with its process. Everything of a node waits on its own `NodeTime`, also what
// the network delivers to it; so one switch pauses the node, and another ends it for good.
//
// Each thing that falls due is an event of the virtual time: microtasks settle between two of them.

import { assert } from '../assert.ts'
import type { Clock, Timer, Timers } from '../clock.ts'
import type { VirtualTime } from './virtual-time.ts'

export interface NodeTimeOptions {
  /** how fast the monotonic clock and the timers run, 0.5 to 2; 1 when left out */
  readonly rate?: number
  /** how far the wall clock is off; 0 when left out */
  readonly wallOffsetMs?: number
}

interface Due {
  /** by this node's monotonic clock */
  readonly atMs: number
  readonly fn: () => void
  handle: Timer | null
  isCancelled: boolean
}

export class NodeTime implements Clock, Timers {
  readonly #time: VirtualTime
  readonly #rate: number
  #wallOffsetMs: number
  /** how far the monotonic clock has jumped ahead */
  #skippedMs = 0
  /** what a timer that ran was due at: rounding never makes it run before its time */
  #floorMs = 0
  /** not due yet */
  readonly #pending = new Set<Due>()
  /** due, and waiting for `resume` or for those before it */
  #waiting: Due[] = []
  #isDraining = false
  #state: 'running' | 'paused' | 'killed' = 'running'
  readonly #watchers: (() => void)[] = []

  constructor(time: VirtualTime, { rate = 1, wallOffsetMs = 0 }: NodeTimeOptions = {}) {
    assert(rate >= MIN_RATE && rate <= MAX_RATE, `a clock's rate is ${MIN_RATE} to ${MAX_RATE}`)
    this.#time = time
    this.#rate = rate
    this.#wallOffsetMs = wallOffsetMs
  }

  nowMs(): number {
    return Math.max(this.#floorMs, this.#time.nowMs() * this.#rate + this.#skippedMs)
  }

  wallMs(): number {
    return Math.floor(this.#time.wallMs() + this.#wallOffsetMs)
  }

  start(delayMs: number, fn: () => void): Timer {
    assert(!Number.isNaN(delayMs), 'a delay is a number')
    const atMs = this.nowMs() + Math.max(0, delayMs)
    const due: Due = { atMs, fn, handle: null, isCancelled: false }
    if (this.#state !== 'killed') this.#arm(due)
    return {
      cancel: () => {
        due.isCancelled = true
        due.handle?.cancel()
        this.#pending.delete(due)
      }
    }
  }

  soon(fn: () => void): void {
    this.start(0, fn)
  }

  /** The process is stopped: nothing of it runs until `resume`. Both clocks go on. */
  pause(): void {
    if (this.#state !== 'running') return
    this.#state = 'paused'
    this.#tellWatchers()
  }

  /** What fell due meanwhile runs now, in the order in which it did, and before what falls due later. */
  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'running'
    this.#drainSoon()
    this.#tellWatchers()
  }

  get isPaused(): boolean {
    return this.#state === 'paused'
  }

  /** For those who live beside the process: `onChange` is called after each pause and each resume. */
  watchPauses(onChange: () => void): void {
    this.#watchers.push(onChange)
  }

  /** The wall clock is set, ahead or back; nothing else notices. */
  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms
  }

  /** The monotonic clock jumps ahead, as on a laptop that slept: what was due by then runs now, late. */
  skip(ms: number): void {
    assert(ms >= 0, 'a monotonic clock never goes back')
    this.#skippedMs += ms
    // a stable sort: what is due at one moment stays in the order in which it was started
    for (const due of [...this.#pending].toSorted((a, b) => a.atMs - b.atMs)) {
      due.handle?.cancel()
      this.#arm(due)
    }
  }

  /** The process is dead: nothing that was or will be started here ever runs. */
  kill(): void {
    this.#state = 'killed'
    for (const due of this.#pending) due.handle?.cancel()
    this.#pending.clear()
    this.#waiting = []
  }

  #tellWatchers(): void {
    for (const onChange of this.#watchers) onChange()
  }

  #arm(due: Due): void {
    this.#pending.add(due)
    const delayMs = Math.max(0, due.atMs - this.nowMs()) / this.#rate
    due.handle = this.#time.start(delayMs, () => this.#onDue(due))
  }

  #onDue(due: Due): void {
    this.#pending.delete(due)
    if (this.#state === 'running' && this.#waiting.length === 0) {
      this.#run(due)
    } else {
      this.#waiting.push(due)
    }
  }

  #run(due: Due): void {
    this.#floorMs = Math.max(this.#floorMs, due.atMs)
    due.fn()
  }

  #drainSoon(): void {
    if (this.#isDraining || this.#waiting.length === 0) return
    this.#isDraining = true
    this.#time.soon(() => this.#drain())
  }

  /** Runs the first that waits; the next one is another event. */
  #drain(): void {
    this.#isDraining = false
    if (this.#state !== 'running') return
    let due = this.#waiting.shift()
    while (due?.isCancelled === true) due = this.#waiting.shift()
    this.#drainSoon()
    if (due !== undefined) this.#run(due)
  }
}

const MIN_RATE = 0.5
const MAX_RATE = 2

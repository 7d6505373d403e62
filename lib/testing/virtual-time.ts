// Time that passes only when a test says so: one queue of events in order of time, then of arrival.
// Between two events all microtasks settle, so code that waits on promises over the injected clock
// and timers runs the same way every time.

import { assert } from '../assert.ts'
import type { Clock, Timer, Timers } from '../clock.ts'

interface Due {
  readonly atMs: number
  readonly order: number
  readonly fn: () => void
  isCancelled: boolean
}

export class VirtualTime implements Clock, Timers {
  /** a binary heap: the next event first */
  readonly #heap: Due[] = []
  #nowMs = 0
  #order = 0
  /** wall clock minus monotonic clock */
  readonly #epochMs: number

  constructor(epochMs = Date.UTC(2026, 0, 1)) {
    this.#epochMs = epochMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#epochMs + Math.floor(this.#nowMs)
  }

  start(delayMs: number, fn: () => void): Timer {
    assert(!Number.isNaN(delayMs), 'a delay is a number')
    const atMs = this.#nowMs + Math.max(0, delayMs)
    const due: Due = { atMs, order: this.#order++, fn, isCancelled: false }
    this.#push(due)
    return {
      cancel() {
        due.isCancelled = true
      }
    }
  }

  soon(fn: () => void): void {
    this.start(0, fn)
  }

  /** Events that are due at some time and were not cancelled: what a test left behind. */
  get pendingCount(): number {
    return this.#heap.filter((due) => !due.isCancelled).length
  }

  /** Lets `ms` pass: runs what falls due, in order, and ends at the exact time. */
  async run(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    await settle()
    for (let due = this.#next(endMs); due !== null; due = this.#next(endMs)) {
      this.#nowMs = due.atMs
      due.fn()
      await settle()
    }
    this.#nowMs = endMs
  }

  /** Runs until `condition` holds; false if it does not within `ms`. */
  async runUntil(condition: () => boolean, ms: number): Promise<boolean> {
    const endMs = this.#nowMs + ms
    await settle()
    while (!condition()) {
      const due = this.#next(endMs)
      if (due === null) return false
      this.#nowMs = due.atMs
      due.fn()
      await settle()
    }
    return true
  }

  /** Runs until `promise` is settled; rejects if that takes longer than `ms`. */
  async settled<T>(promise: Promise<T>, ms: number): Promise<T> {
    let isSettled = false
    const watch = (): void => {
      isSettled = true
    }
    promise.then(watch, watch)
    const isDone = await this.runUntil(() => isSettled, ms)
    if (!isDone) throw new Error(`nothing within ${ms} ms of virtual time`)
    return await promise
  }

  #next(endMs: number): Due | null {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined || first.atMs > endMs) return null
      this.#pop()
      if (!first.isCancelled) return first
    }
  }

  #push(due: Due): void {
    const heap = this.#heap
    let position = heap.length
    heap.push(due)
    while (position > 0) {
      const parentPosition = (position - 1) >> 1
      const parent = heap[parentPosition]
      if (parent === undefined || isBefore(parent, due)) break
      heap[position] = parent
      position = parentPosition
    }
    heap[position] = due
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    assert(last !== undefined, 'an event is there to be taken')
    if (heap.length === 0) return
    let position = 0
    for (;;) {
      const child = smallerChild(heap, position)
      if (child === null || isBefore(last, child.due)) break
      heap[position] = child.due
      position = child.position
    }
    heap[position] = last
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

function smallerChild(
  heap: readonly Due[],
  position: number
): { due: Due; position: number } | null {
  const leftPosition = 2 * position + 1
  const left = heap[leftPosition]
  const right = heap[leftPosition + 1]
  if (left === undefined) return null
  if (right === undefined || isBefore(left, right)) return { due: left, position: leftPosition }
  return { due: right, position: leftPosition + 1 }
}

/** One turn of the real event loop: all microtasks, however many follow each other, have run. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

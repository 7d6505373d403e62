// How much bulk may be on the way in one stream, so that a heartbeat never waits long behind it:
// what the path holds by itself (bandwidth × shortest round trip) and on top of that at most
// BULK_WINDOW_MS of measured bandwidth. Pure.
//
// Bandwidth is the delivery rate of BBR (Cardwell et al., 2016, and draft-cheng-iccrg-delivery-rate-
// estimation): per acknowledged fragment, what was delivered since it was sent, over the time that
// took; the largest of recent samples. A window of 100 ms of bandwidth alone would starve a path
// whose round trip is longer than that: each round would measure less than the one before.

import { assert } from '../assert.ts'
import {
  BULK_WINDOW_MS,
  MAX_BULK_QUEUE_BYTES,
  MAX_BULK_WINDOW_BYTES,
  MAX_FRAGMENT_BYTES,
  MIN_BULK_WINDOW_BYTES
} from '../limits.ts'

/** For how long a sample counts. */
const SAMPLE_LIFE_MS = 10_000
/** Samples are kept per this span, so that few are kept. */
const SAMPLE_SPAN_MS = 1_000
/** Shortest time that is believed: below it clocks say nothing. */
const MIN_ELAPSED_MS = 0.1

interface Sent {
  readonly byteCount: number
  readonly atMs: number
  readonly deliveredBytes: number
  readonly deliveredAtMs: number
}

interface Sample {
  readonly sinceMs: number
  bytesPerMs: number
  roundTripMs: number
}

export class Pacing {
  /** in the order of sending, which is the order of acknowledgement */
  readonly #sent: Sent[] = []
  #unackedBytes = 0
  #deliveredBytes = 0
  #deliveredAtMs = 0
  #samples: Sample[] = []

  get unackedBytes(): number {
    return this.#unackedBytes
  }

  /** Bytes of bulk that may be on the way. */
  windowBytes(): number {
    const bytesPerMs = Math.max(0, ...this.#samples.map((sample) => sample.bytesPerMs))
    if (bytesPerMs === 0) return MIN_BULK_WINDOW_BYTES
    const roundTripMs = Math.min(...this.#samples.map((sample) => sample.roundTripMs))
    const queue = Math.min(bytesPerMs * BULK_WINDOW_MS, MAX_BULK_QUEUE_BYTES)
    const window = bytesPerMs * roundTripMs + queue
    return Math.min(Math.max(window, MIN_BULK_WINDOW_BYTES), MAX_BULK_WINDOW_BYTES)
  }

  /** Bytes that the next fragment may have; 0: wait for an acknowledgement. */
  nextFragmentBytes(): number {
    const room = this.windowBytes() - this.#unackedBytes
    if (this.#unackedBytes > 0 && room < MIN_BULK_WINDOW_BYTES) return 0
    return Math.floor(Math.min(Math.max(room, MIN_BULK_WINDOW_BYTES), MAX_FRAGMENT_BYTES))
  }

  onSent(byteCount: number, nowMs: number): void {
    if (this.#unackedBytes === 0) this.#deliveredAtMs = nowMs
    this.#unackedBytes += byteCount
    this.#sent.push({
      byteCount,
      atMs: nowMs,
      deliveredBytes: this.#deliveredBytes,
      deliveredAtMs: this.#deliveredAtMs
    })
  }

  /** The oldest fragment on the way has arrived; false when there is none. */
  onAcked(nowMs: number): boolean {
    const sent = this.#sent.shift()
    if (sent === undefined) return false
    this.#unackedBytes -= sent.byteCount
    assert(this.#unackedBytes >= 0, 'no more is acknowledged than was sent')
    this.#deliveredBytes += sent.byteCount
    this.#deliveredAtMs = nowMs
    const elapsedMs = Math.max(nowMs - sent.deliveredAtMs, MIN_ELAPSED_MS)
    const bytesPerMs = (this.#deliveredBytes - sent.deliveredBytes) / elapsedMs
    this.#record(bytesPerMs, Math.max(nowMs - sent.atMs, MIN_ELAPSED_MS), nowMs)
    return true
  }

  #record(bytesPerMs: number, roundTripMs: number, nowMs: number): void {
    const newest = this.#samples.at(-1)
    if (newest !== undefined && nowMs - newest.sinceMs < SAMPLE_SPAN_MS) {
      newest.bytesPerMs = Math.max(newest.bytesPerMs, bytesPerMs)
      newest.roundTripMs = Math.min(newest.roundTripMs, roundTripMs)
      return
    }
    this.#samples = this.#samples.filter((sample) => nowMs - sample.sinceMs < SAMPLE_LIFE_MS)
    this.#samples.push({ sinceMs: nowMs, bytesPerMs, roundTripMs })
  }
}

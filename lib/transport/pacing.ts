// How much bulk may be on the way in one stream, so that a heartbeat never waits long behind it:
// what the path holds by itself (bandwidth × shortest round trip) and on top of that at most
// BULK_WINDOW_MS of measured bandwidth. The first bounds what is unacknowledged; the second what is
// sent in a burst, which would wait at the bottleneck however empty the path is. Pure.
//
// Bandwidth is the delivery rate of BBR (Cardwell et al., 2016, and draft-cheng-iccrg-delivery-rate-
// estimation): per acknowledged fragment, what was delivered since it was sent, over the time that
// took; the largest of recent samples. A window of 100 ms of bandwidth alone would starve a path
// whose round trip is longer than that: each round would measure less than the one before.
//
// The round trip is taken from fragments that were sent while nothing else was on the way. Under
// steady load the queue is let run empty for that every SAMPLE_LIFE_MS (BBR's ProbeRTT): otherwise the
// queue of today would pass for the path of tomorrow, and grow for ever.

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

/** How much faster than measured is sent, to find out whether there is more (BBR's pacing gains). */
const STARTUP_GAIN = 2
const STEADY_GAIN = 1.25
/** The path is full when its bandwidth has not grown for so many round trips. */
const GROWTH_ROUNDS = 3

interface Sent {
  readonly byteCount: number
  readonly atMs: number
  readonly deliveredBytes: number
  readonly deliveredAtMs: number
  /** nothing else was on the way */
  readonly isAlone: boolean
}

interface Sample {
  readonly sinceMs: number
  bytesPerMs: number
}

/** What may leave now, or what to wait for. */
export interface Allowance {
  /** bytes of the next fragment; 0 for none */
  readonly byteCount: number
  /** with 0 bytes: ask again after this time; null: after the next acknowledgement */
  readonly waitMs: number | null
}

const WAIT_FOR_ACK: Allowance = { byteCount: 0, waitMs: null }

export class Pacing {
  /** in the order of sending, which is the order of acknowledgement */
  readonly #sent: Sent[] = []
  #unackedBytes = 0
  #deliveredBytes = 0
  #deliveredAtMs = 0
  #samples: Sample[] = []
  #roundTripMs = 0
  #roundTripAtMs = 0
  /** what waits at the bottleneck, if the measured bandwidth is right, at `#queuedAtMs` */
  #queued = 0
  #queuedAtMs = 0
  /** the bandwidth that was last found to have grown, and when */
  #plateau = 0
  #grewAtMs = 0

  get unackedBytes(): number {
    return this.#unackedBytes
  }

  /** Bytes of bulk that may be on the way. */
  windowBytes(): number {
    const path = this.#bytesPerMs() * this.#roundTripMs
    return Math.min(path + this.#queueBytes(), MAX_BULK_WINDOW_BYTES)
  }

  /** How much may leave now. */
  next(nowMs: number): Allowance {
    const isStale = nowMs - this.#roundTripAtMs > SAMPLE_LIFE_MS
    const window = this.windowBytes() - this.#unackedBytes
    if (this.#unackedBytes > 0 && (isStale || window < MIN_BULK_WINDOW_BYTES)) return WAIT_FOR_ACK
    const queued = this.#queuedBytes(nowMs)
    const room = Math.max(MIN_BULK_WINDOW_BYTES, Math.min(window, this.#queueBytes() - queued))
    if (queued > 0 && queued + MIN_BULK_WINDOW_BYTES > this.#queueBytes()) {
      const excess = queued + MIN_BULK_WINDOW_BYTES - this.#queueBytes()
      return { byteCount: 0, waitMs: Math.max(1, excess / this.#bytesPerMs()) }
    }
    // half a queue at most: on slow paths a fragment itself is what others wait for
    const most = Math.max(MIN_BULK_WINDOW_BYTES, this.#queueBytes() / 2)
    return { byteCount: Math.floor(Math.min(room, most, MAX_FRAGMENT_BYTES)), waitMs: null }
  }

  onSent(byteCount: number, nowMs: number): void {
    const isAlone = this.#unackedBytes === 0
    if (isAlone) this.#deliveredAtMs = nowMs
    // those behind it do not make it wait: the question is answered with its acknowledgement
    if (isAlone) this.#roundTripAtMs = nowMs
    this.#queued = this.#queuedBytes(nowMs) + byteCount
    this.#queuedAtMs = nowMs
    this.#unackedBytes += byteCount
    this.#sent.push({
      byteCount,
      atMs: nowMs,
      deliveredBytes: this.#deliveredBytes,
      deliveredAtMs: this.#deliveredAtMs,
      isAlone
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
    if (sent.isAlone) this.#roundTripMs = Math.max(nowMs - sent.atMs, MIN_ELAPSED_MS)
    this.#record(bytesPerMs, nowMs)
    return true
  }

  /** The largest measured bandwidth; 0 before there is one. */
  #bytesPerMs(): number {
    return Math.max(0, ...this.#samples.map((sample) => sample.bytesPerMs))
  }

  /** Bytes that may wait at the bottleneck. */
  #queueBytes(): number {
    const queue = Math.min(this.#bytesPerMs() * BULK_WINDOW_MS, MAX_BULK_QUEUE_BYTES)
    return Math.max(queue, MIN_BULK_WINDOW_BYTES)
  }

  /** Leaves a little faster than was measured, and much faster while measurements still grow. */
  #queuedBytes(nowMs: number): number {
    const isGrowing = nowMs - this.#grewAtMs <= GROWTH_ROUNDS * this.#roundTripMs
    const bytesPerMs = this.#bytesPerMs() * (isGrowing ? STARTUP_GAIN : STEADY_GAIN)
    return Math.max(0, this.#queued - (nowMs - this.#queuedAtMs) * bytesPerMs)
  }

  #record(bytesPerMs: number, nowMs: number): void {
    if (bytesPerMs > this.#plateau * STEADY_GAIN) {
      this.#plateau = bytesPerMs
      this.#grewAtMs = nowMs
    }
    const newest = this.#samples.at(-1)
    if (newest !== undefined && nowMs - newest.sinceMs < SAMPLE_SPAN_MS) {
      newest.bytesPerMs = Math.max(newest.bytesPerMs, bytesPerMs)
      return
    }
    this.#samples = this.#samples.filter((sample) => nowMs - sample.sinceMs < SAMPLE_LIFE_MS)
    this.#plateau = Math.min(this.#plateau, Math.max(bytesPerMs, this.#bytesPerMs()))
    this.#samples.push({ sinceMs: nowMs, bytesPerMs })
  }
}

// What waits to leave on one link. Two lanes: small messages go as they come; bulk is cut into
// fragments that leave as the window allows (pacing.ts), so the small ones pass between them.
//
// Appends keep their order among themselves: a small one behind a big one waits for it, because a
// follower that sees the later one first must refuse it. Nothing else depends on order (the core
// tolerates all of it, and requests have ids). The backlog is bounded: the oldest appends go first,
// heartbeats and votes never.

import { assert } from '../assert.ts'
import type { Clock, Timer, Timers } from '../clock.ts'
import { MAX_FRAGMENT_BYTES, MAX_SEND_BACKLOG_BYTES, MAX_TURN_BULK_BYTES } from '../limits.ts'
import { Pacing } from './pacing.ts'

/** Channels that carry bulk, in the order of their turns. */
export const BULK_CHANNELS = ['raft', 'rpc', 'snapshot'] as const
export type BulkChannel = (typeof BULK_CHANNELS)[number]
export type FragmentKind = 'whole' | 'first' | 'next'

export interface OutboxParts {
  /** false: more is buffered below than is good; `onDrain` follows */
  readonly write: (channel: BulkChannel, kind: FragmentKind, bytes: Uint8Array) => boolean
  readonly clock: Clock
  readonly timers: Timers
}

/** A message: bytes, or two parts of it that nobody has to copy together for the sake of the fragments. */
export type Bytes = Pick<Uint8Array, 'byteLength' | 'subarray'>

/** `head`, then `tail`. A fragment of both is a copy, every other one a view. */
export class Joined implements Bytes {
  readonly byteLength: number
  readonly #head: Uint8Array
  readonly #tail: Uint8Array

  constructor(head: Uint8Array, tail: Uint8Array) {
    this.byteLength = head.byteLength + tail.byteLength
    this.#head = head
    this.#tail = tail
  }

  subarray(from: number, to: number): Uint8Array {
    const at = this.#head.byteLength
    if (to <= at) return this.#head.subarray(from, to)
    if (from >= at) return this.#tail.subarray(from - at, to - at)
    const bytes = new Uint8Array(to - from)
    bytes.set(this.#head.subarray(from))
    bytes.set(this.#tail.subarray(0, to - at), at - from)
    return bytes
  }
}

interface Waiting {
  readonly channel: BulkChannel
  readonly bytes: Bytes
  readonly isDroppable: boolean
  /** bytes that have left */
  offset: number
}

/** What a message counts in the backlog beyond its bytes: a million empty ones are not free. */
const WAITING_OVERHEAD_BYTES = 128
/** Bytes in front of the first fragment: the length of the whole, little-endian uint32. */
export const FIRST_HEADER_BYTES = 4

export class Outbox {
  readonly #parts: OutboxParts
  readonly #pacing = new Pacing()
  #small: Waiting[] = []
  readonly #bulk: Record<BulkChannel, Waiting[]> = { raft: [], rpc: [], snapshot: [] }
  /** whose turn it was last in the bulk lane */
  #lastBulk: BulkChannel = 'snapshot'
  #isDrained = true
  #backlogBytes = 0
  /** what of it would give way: appends of which nothing has left */
  #droppableBytes = 0
  #turnBytes = 0
  #pause: Timer | null = null
  #isClosed = false

  constructor(parts: OutboxParts) {
    this.#parts = parts
  }

  get backlogBytes(): number {
    return this.#backlogBytes
  }

  /** Whether a message of `byteCount` fits after dropping what may be dropped. */
  hasRoom(byteCount: number): boolean {
    const withIt = this.#backlogBytes + byteCount
    return withIt - this.#droppableBytes <= MAX_SEND_BACKLOG_BYTES
  }

  /** `isDroppable`: an append; it, or older ones, go when the backlog is full. False: it went. */
  send(channel: BulkChannel, bytes: Bytes, isDroppable: boolean): boolean {
    if (this.#isClosed) return false
    this.#makeRoom(bytes.byteLength)
    if (isDroppable && this.#backlogBytes + bytes.byteLength > MAX_SEND_BACKLOG_BYTES) return false
    const waiting = { channel, bytes, isDroppable, offset: 0 }
    const isSmall = bytes.byteLength <= MAX_FRAGMENT_BYTES
    const mustQueue = isDroppable && this.#bulk.raft.length > 0
    if (isSmall && !mustQueue && this.#isDrained && this.#small.length === 0) {
      this.#isDrained = this.#writeWhole(channel, bytes)
      return true
    }
    this.#backlogBytes += costOf(waiting)
    if (isDroppable) this.#droppableBytes += costOf(waiting)
    if (isSmall && !mustQueue) this.#small.push(waiting)
    else this.#bulk[channel].push(waiting)
    this.#pump()
    return true
  }

  onDrain(): void {
    this.#isDrained = true
    this.#pump()
  }

  /** The other side has taken a fragment; false when none was on its way. */
  onAck(): boolean {
    if (!this.#pacing.onAcked(this.#parts.clock.nowMs())) return false
    this.#pump()
    return true
  }

  close(): void {
    this.#isClosed = true
    this.#pause?.cancel()
    this.#small = []
    for (const channel of BULK_CHANNELS) this.#bulk[channel] = []
    this.#backlogBytes = 0
    this.#droppableBytes = 0
  }

  #pump(): void {
    while (this.#isDrained && !this.#isClosed) {
      if (!this.#writeSmall() && !this.#writeBulk()) return
    }
  }

  #writeSmall(): boolean {
    const waiting = this.#small.shift()
    if (waiting === undefined) return false
    this.#forget(waiting)
    this.#isDrained = this.#writeWhole(waiting.channel, waiting.bytes)
    return true
  }

  #writeBulk(): boolean {
    const channel = this.#bulkChannel()
    const waiting = channel === null ? undefined : this.#bulk[channel][0]
    if (channel === null || waiting === undefined) return false
    if (waiting.bytes.byteLength <= MAX_FRAGMENT_BYTES) {
      this.#bulk[channel].shift()
      this.#forget(waiting)
      this.#isDrained = this.#writeWhole(channel, waiting.bytes)
      return true
    }
    if (this.#turnBytes >= MAX_TURN_BULK_BYTES) return false
    const { byteCount, waitMs } = this.#pacing.next(this.#parts.clock.nowMs())
    if (waitMs !== null) this.#pumpAfter(waitMs)
    if (byteCount === 0) return false
    this.#writeFragment(waiting, byteCount)
    return true
  }

  #writeWhole(channel: BulkChannel, bytes: Bytes): boolean {
    return this.#parts.write(channel, 'whole', bytes.subarray(0, bytes.byteLength))
  }

  #pumpAfter(delayMs: number): void {
    this.#pause ??= this.#parts.timers.start(delayMs, () => {
      this.#pause = null
      this.#pump()
    })
  }

  #writeFragment(waiting: Waiting, byteCount: number): void {
    const { channel, bytes, offset } = waiting
    const end = Math.min(offset + byteCount, bytes.byteLength)
    const fragment = bytes.subarray(offset, end)
    const isFirst = offset === 0
    if (isFirst && waiting.isDroppable) this.#droppableBytes -= costOf(waiting)
    waiting.offset = end
    if (end === bytes.byteLength) {
      this.#bulk[channel].shift()
      this.#forget(waiting)
    }
    this.#pacing.onSent(fragment.byteLength, this.#parts.clock.nowMs())
    this.#countTurn(fragment.byteLength)
    this.#lastBulk = channel
    const framed = isFirst ? withLength(fragment, bytes.byteLength) : fragment
    this.#isDrained = this.#parts.write(channel, isFirst ? 'first' : 'next', framed)
  }

  /** The channel whose bulk goes next; they take turns. */
  #bulkChannel(): BulkChannel | null {
    const next = BULK_CHANNELS.indexOf(this.#lastBulk) + 1
    const inTurn = [...BULK_CHANNELS.slice(next), ...BULK_CHANNELS.slice(0, next)]
    return inTurn.find((channel) => this.#bulk[channel].length > 0) ?? null
  }

  /** Counts bulk of this turn of the event loop; in the next one it goes on. */
  #countTurn(byteCount: number): void {
    const isFirst = this.#turnBytes === 0
    this.#turnBytes += byteCount
    if (!isFirst) return
    this.#parts.timers.soon(() => {
      const wasFull = this.#turnBytes >= MAX_TURN_BULK_BYTES
      this.#turnBytes = 0
      if (wasFull) this.#pump()
    })
  }

  #makeRoom(byteCount: number): void {
    while (this.#backlogBytes + byteCount > MAX_SEND_BACKLOG_BYTES && this.#droppableBytes > 0) {
      const queue = [this.#small, this.#bulk.raft].find((lane) => lane.some(isGone))
      assert(queue !== undefined, 'what may be dropped waits')
      const [dropped] = queue.splice(queue.findIndex(isGone), 1)
      assert(dropped !== undefined, 'an append was found')
      this.#forget(dropped)
    }
  }

  /** A message is not in the backlog any more. */
  #forget(waiting: Waiting): void {
    this.#backlogBytes -= costOf(waiting)
    if (isGone(waiting)) this.#droppableBytes -= costOf(waiting)
  }
}

function costOf({ bytes }: Waiting): number {
  return bytes.byteLength + WAITING_OVERHEAD_BYTES
}

/** Whether the message may be dropped: an append of which nothing has left. */
function isGone(waiting: Waiting): boolean {
  return waiting.isDroppable && waiting.offset === 0
}

function withLength(fragment: Uint8Array, byteCount: number): Uint8Array {
  const framed = new Uint8Array(FIRST_HEADER_BYTES + fragment.byteLength)
  new DataView(framed.buffer).setUint32(0, byteCount, true)
  framed.set(fragment, FIRST_HEADER_BYTES)
  return framed
}

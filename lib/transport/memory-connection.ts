// One end of a connection of the memory network: a queue to the other end, a delay per hop, and cuts.

import type { Address } from '../address.ts'
import { assert } from '../assert.ts'
import type { Clock, Timer, Timers } from '../clock.ts'
import { FINISH_DEADLINE_MS, MAX_HELLO_BYTES } from '../limits.ts'
import type { Connection, ConnectionHandlers } from './network.ts'

/** Bytes added by the encryption of the real network; they count against the frame limit. */
const FRAME_OVERHEAD_BYTES = 17

export interface MemoryHubOptions {
  readonly clock: Clock
  readonly timers: Timers
  /** one way, between any two nodes */
  readonly delayMs: number
  /** a connection on which nothing arrived for so long is gone; its two ends keep it alive by themselves */
  readonly linkTimeoutMs: number
}

/** What a connection must know of the hub. */
export interface Medium {
  readonly options: MemoryHubOptions
  isCut(from: Address, to: Address): boolean
  /** the connection has ended */
  forget(connection: MemoryConnection): void
}

export interface MemoryEnd {
  readonly publicKey: Uint8Array
  readonly address: Address
}

interface ConnectionEnds {
  readonly own: MemoryEnd
  readonly remote: MemoryEnd
  readonly handshakeHash: Uint8Array
  readonly isInitiator: boolean
}

export class MemoryConnection implements Connection {
  readonly remotePublicKey: Uint8Array
  readonly handshakeHash: Uint8Array
  readonly isInitiator: boolean
  readonly remoteAddress: Address
  readonly ownAddress: Address
  readonly #hub: Medium
  #peer: MemoryConnection | null = null
  #handlers: ConnectionHandlers | null = null
  /** frames that arrived before `start`, or while paused */
  #waiting: Uint8Array[] = []
  #isPaused = false
  #frameLimit = MAX_HELLO_BYTES
  #timeout: Timer | null = null
  /** frames that a cut keeps from this end */
  #held: Uint8Array[] = []
  #isEnding = false
  isClosed = false

  constructor(hub: Medium, ends: ConnectionEnds) {
    this.#hub = hub
    this.remotePublicKey = ends.remote.publicKey
    this.handshakeHash = ends.handshakeHash
    this.isInitiator = ends.isInitiator
    this.remoteAddress = ends.remote.address
    this.ownAddress = ends.own.address
  }

  join(peer: MemoryConnection): void {
    this.#peer = peer
  }

  start(handlers: ConnectionHandlers): void {
    assert(this.#handlers === null, 'a connection is started once')
    this.#handlers = handlers
    if (this.#waiting.length > 0) this.#hub.options.timers.soon(() => this.resume())
  }

  allocate(byteCount: number): Uint8Array {
    return new Uint8Array(byteCount)
  }

  write(frame: Uint8Array): boolean {
    if (!this.isClosed && !this.#isEnding) this.#later(this.#delayMs(), () => this.#deliver(frame))
    return true
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    while (this.#waiting.length > 0 && !this.#isPaused && !this.isClosed) {
      const frame = this.#waiting.shift()
      if (frame !== undefined) this.#handlers?.onFrame(frame)
    }
  }

  setFrameLimit(byteCount: number): void {
    this.#frameLimit = byteCount
  }

  rttMs(): number {
    return 2 * this.#delayMs()
  }

  close(reason: string): void {
    if (this.isClosed) return
    this.#later(this.#delayMs(), () => this.#peer?.onRemoteClose())
    this.#end(reason)
  }

  finish(reason: string): void {
    if (this.isClosed || this.#isEnding) return
    this.#isEnding = true
    this.#later(Math.min(2 * this.#delayMs() + 1, FINISH_DEADLINE_MS), () => this.close(reason))
  }

  /** The other side closed; over a cut this side does not hear of it. */
  onRemoteClose(): void {
    if (this.#peer === null || this.#isCutTowards(this)) this.onCut()
    else this.#end('closed by the other side')
  }

  /** A cut began somewhere: if it is on the way to this end, silence kills the connection. */
  onCut(): void {
    if (this.isClosed || this.#timeout !== null || !this.#isCutTowards(this)) return
    this.#timeout = this.#later(this.#hub.options.linkTimeoutMs, () => {
      this.close('nothing heard for the link timeout')
    })
  }

  /** A cut ended: what was sent meanwhile comes through, unless the other end has given up. */
  onHeal(): void {
    if (this.isClosed || this.#timeout === null || this.#isCutTowards(this)) return
    if (this.#peer?.isClosed === true) return
    this.#timeout.cancel()
    this.#timeout = null
    const held = this.#held
    this.#held = []
    for (const frame of held) this.#later(this.#delayMs(), () => this.#receive(frame))
  }

  #deliver(frame: Uint8Array): void {
    const peer = this.#peer
    if (peer === null || peer.isClosed) return
    if (this.#isCutTowards(peer)) {
      peer.#held.push(frame)
      peer.onCut()
    } else {
      peer.#receive(frame)
    }
  }

  #receive(frame: Uint8Array): void {
    if (this.#isEnding || this.isClosed) return
    if (frame.byteLength + FRAME_OVERHEAD_BYTES > this.#frameLimit) {
      this.close(`a frame of ${frame.byteLength} bytes`)
      return
    }
    if (this.#handlers === null || this.#isPaused) this.#waiting.push(frame)
    else this.#handlers.onFrame(frame)
  }

  #isCutTowards(end: MemoryConnection): boolean {
    const [from, to] =
      end === this ? [this.remoteAddress, this.ownAddress] : [this.ownAddress, this.remoteAddress]
    return this.#hub.isCut(from, to)
  }

  #end(reason: string): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#timeout?.cancel()
    this.#waiting = []
    this.#held = []
    this.#hub.forget(this)
    this.#hub.options.timers.soon(() => this.#handlers?.onClose(reason))
  }

  #delayMs(): number {
    return this.#hub.options.delayMs
  }

  #later(delayMs: number, fn: () => void): Timer {
    return this.#hub.options.timers.start(delayMs, fn)
  }
}

// One end of a connection of the memory network: a queue of what is on its way to it. Everything in it
// arrives in the order in which it was sent, however long each took, as on a stream: what follows
// something slow waits behind it.

import type { Address } from '../address.ts'
import { assert } from '../assert.ts'
import type { Timer } from '../clock.ts'
import { FINISH_DEADLINE_MS, MAX_HELLO_BYTES } from '../limits.ts'
import type { MemoryHost } from './memory-host.ts'
import type { Connection, ConnectionHandlers } from './network.ts'

/** Bytes added by the encryption of the real network; they count against the frame limit. */
const FRAME_OVERHEAD_BYTES = 17

/** What a connection must know of the hub. */
export interface Medium {
  /** a connection on which nothing arrived for so long is gone; its two ends keep it alive by themselves */
  readonly linkTimeoutMs: number
  /** draws how long something takes */
  delayMs(from: Address, to: Address): number
  isCut(from: Address, to: Address): boolean
  /** the connection has ended */
  forget(connection: MemoryConnection): void
}

export interface ConnectionEnds {
  readonly own: MemoryHost
  readonly remote: MemoryHost
  readonly remotePublicKey: Uint8Array
  readonly handshakeHash: Uint8Array
  readonly isInitiator: boolean
  /** the connection has come in; called before anything else arrives */
  readonly onOpen: (connection: MemoryConnection) => void
}

type Arrival =
  | { readonly kind: 'open' }
  | { readonly kind: 'frame'; readonly bytes: Uint8Array }
  | { readonly kind: 'close' }

export class MemoryConnection implements Connection {
  readonly remotePublicKey: Uint8Array
  readonly handshakeHash: Uint8Array
  readonly isInitiator: boolean
  readonly host: MemoryHost
  readonly remote: MemoryHost
  readonly #hub: Medium
  readonly #onOpen: (connection: MemoryConnection) => void
  #peer: MemoryConnection | null = null
  #handlers: ConnectionHandlers | null = null
  /** on its way to this end, in the order of sending; those that a cut holds back are the first */
  #arriving: Arrival[] = []
  #heldCount = 0
  /** when the last of them arrives, by this end's clock */
  #arrivedMs = 0
  /** how long the last thing that this end sent took; null before the first */
  #sentDelayMs: number | null = null
  /** frames that arrived before `start`, or while paused */
  #waiting: Uint8Array[] = []
  #isPaused = false
  #frameLimit = MAX_HELLO_BYTES
  /** runs while nothing can be heard of the other end */
  #silence: Timer | null = null
  #isEnding = false
  isClosed = false

  constructor(hub: Medium, ends: ConnectionEnds) {
    this.#hub = hub
    this.#onOpen = ends.onOpen
    this.host = ends.own
    this.remote = ends.remote
    this.remotePublicKey = ends.remotePublicKey
    this.handshakeHash = ends.handshakeHash
    this.isInitiator = ends.isInitiator
  }

  get remoteAddress(): Address {
    return this.remote.address
  }

  join(peer: MemoryConnection): void {
    this.#peer = peer
  }

  /** Tells the other side that there is a connection. */
  open(): void {
    this.#send({ kind: 'open' })
  }

  start(handlers: ConnectionHandlers): void {
    assert(this.#handlers === null, 'a connection is started once')
    this.#handlers = handlers
    if (this.#waiting.length > 0) this.host.later(0, () => this.#flush())
  }

  allocate(byteCount: number): Uint8Array {
    return new Uint8Array(byteCount)
  }

  write(frame: Uint8Array): boolean {
    if (!this.isClosed && !this.#isEnding) this.#send({ kind: 'frame', bytes: frame })
    return true
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#flush()
  }

  setFrameLimit(byteCount: number): void {
    this.#frameLimit = byteCount
  }

  rttMs(): number | null {
    const there = this.#sentDelayMs
    const back = this.#peer === null ? null : this.#peer.#sentDelayMs
    return there === null || back === null ? null : there + back
  }

  close(reason: string): void {
    if (this.isClosed) return
    this.#send({ kind: 'close' })
    this.end(reason)
  }

  finish(reason: string): void {
    if (this.isClosed || this.#isEnding) return
    this.#isEnding = true
    this.host.later(this.#finishMs(), () => this.close(reason))
  }

  /** Ends here, and the other side is not told. What is on its way to this end is lost. */
  end(reason: string): void {
    if (this.isClosed) return
    this.#forget()
    this.host.later(0, () => this.#handlers?.onClose(reason))
  }

  /** The process of this end is dead: nobody here is told anything. */
  die(): void {
    this.#handlers = null
    this.#forget()
  }

  /**
   * A cut, a pause or a life may have begun or ended. While nothing comes from the other end, silence
   * kills the connection; when something comes again, so does what was sent meanwhile, unless the
   * other end has given up.
   */
  look(): void {
    if (this.isClosed) return
    if (this.#isCutOff() || this.remote.isSilent) {
      this.#silence ??= this.host.later(this.#hub.linkTimeoutMs, () => {
        this.close('nothing heard for the link timeout')
      })
      return
    }
    const heldCount = this.#heldCount
    this.#heldCount = 0
    if (this.#peer === null || this.#peer.isClosed) {
      // nobody is there to send it again, nor to break the silence
      this.#arriving.splice(0, heldCount)
      return
    }
    this.#silence?.cancel()
    this.#silence = null
    for (let count = 0; count < heldCount; count++) this.#expect(this.#inboundDelayMs())
  }

  #send(arrival: Arrival): void {
    const peer = this.#peer
    if (peer === null || peer.isClosed) return
    this.#sentDelayMs = this.#hub.delayMs(this.host.address, this.remote.address)
    peer.#arriving.push(arrival)
    peer.#expect(this.#sentDelayMs)
  }

  /** One thing more will arrive, after all that is on its way. */
  #expect(delayMs: number): void {
    const nowMs = this.host.time.nowMs()
    this.#arrivedMs = Math.max(this.#arrivedMs, nowMs + delayMs)
    this.host.later(this.#arrivedMs - nowMs, () => this.#arrive())
  }

  #arrive(): void {
    if (this.isClosed || this.#arriving.length <= this.#heldCount) return
    if (this.#isCutOff()) {
      this.#heldCount++
      return
    }
    const arrival = this.#arriving.shift()
    if (arrival?.kind === 'open') this.#onOpen(this)
    if (arrival?.kind === 'frame') this.#receive(arrival.bytes)
    if (arrival?.kind === 'close') this.end('closed by the other side')
  }

  #receive(frame: Uint8Array): void {
    if (this.#isEnding) return
    if (frame.byteLength + FRAME_OVERHEAD_BYTES > this.#frameLimit) {
      this.close(`a frame of ${frame.byteLength} bytes`)
      return
    }
    if (this.#handlers === null || this.#isPaused) this.#waiting.push(frame)
    else this.#handlers.onFrame(frame)
  }

  #flush(): void {
    while (this.#waiting.length > 0 && !this.#isPaused && !this.isClosed) {
      const frame = this.#waiting.shift()
      if (frame !== undefined) this.#handlers?.onFrame(frame)
    }
  }

  /** Until all that was written has arrived and the other side could say so. */
  #finishMs(): number {
    const peer = this.#peer
    if (peer === null || peer.#heldCount > 0) return FINISH_DEADLINE_MS
    const arrivesMs = Math.max(0, peer.#arrivedMs - peer.host.time.nowMs())
    return Math.min(arrivesMs + this.#inboundDelayMs() + 1, FINISH_DEADLINE_MS)
  }

  #forget(): void {
    this.isClosed = true
    this.#silence?.cancel()
    this.#arriving = []
    this.#waiting = []
    this.#hub.forget(this)
  }

  #isCutOff(): boolean {
    return this.#hub.isCut(this.remote.address, this.host.address)
  }

  #inboundDelayMs(): number {
    return this.#hub.delayMs(this.remote.address, this.host.address)
  }
}

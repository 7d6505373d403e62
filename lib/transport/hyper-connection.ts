// A secret stream as a connection of the network port. Two rules of udx-native live here: a stream is
// never destroyed inside a drain or acknowledgement (it can end the process, stack-facts 0.3), so
// every close waits for the next turn; and both ends keep it alive and time it out themselves, because
// udx takes 13 seconds and more to notice that a peer was killed (0.2).

import type { Address } from '../address.ts'
import { isIpv4, isPort } from '../address.ts'
import { assert } from '../assert.ts'
import { FINISH_DEADLINE_MS } from '../limits.ts'
import type { Timing } from '../raft/timing.ts'
import type { CappedStream } from './guarded-dht.ts'
import type { Connection, ConnectionHandlers } from './network.ts'

/** First thing for any stream, before it opens: errors have a listener, silence has an end. */
export function adopt(stream: CappedStream, timing: Timing): void {
  stream.on('error', () => {})
  stream.setKeepAlive(timing.linkKeepAliveMs)
  stream.setTimeout(timing.linkTimeoutMs)
}

/** Destroys a stream in the next turn of the event loop. */
export function closeSoon(stream: CappedStream, reason: string): void {
  setImmediate(() => stream.destroy(new Error(reason)))
}

export class HyperConnection implements Connection {
  readonly remotePublicKey: Uint8Array
  readonly handshakeHash: Uint8Array
  readonly isInitiator: boolean
  readonly remoteAddress: Address | null
  readonly #stream: CappedStream
  #handlers: ConnectionHandlers | null = null
  #reason = ''
  #isOver = false

  /** `stream` is adopted and its handshake is done. */
  constructor(stream: CappedStream) {
    assert(stream.handshakeHash.byteLength === 64, 'the handshake is done')
    this.#stream = stream
    this.remotePublicKey = new Uint8Array(stream.remotePublicKey)
    this.handshakeHash = new Uint8Array(stream.handshakeHash)
    this.isInitiator = stream.isInitiator
    this.remoteAddress = addressOf(stream)
  }

  start(handlers: ConnectionHandlers): void {
    assert(this.#handlers === null, 'a connection is started once')
    this.#handlers = handlers
    const stream = this.#stream
    if (stream.destroyed) {
      setImmediate(() => handlers.onClose('closed before it was started'))
      return
    }
    stream.on('error', (error) => {
      if (this.#reason === '') this.#reason = error.message
    })
    stream.on('close', () => {
      this.#isOver = true
      handlers.onClose(this.#reason === '' ? 'closed' : this.#reason)
    })
    stream.on('data', (frame) => {
      // not a Buffer, whose `slice` would be no copy
      const { buffer, byteOffset, byteLength } = frame
      if (!this.#isOver) handlers.onFrame(new Uint8Array(buffer, byteOffset, byteLength))
    })
    stream.on('drain', () => {
      if (!this.#isOver) handlers.onDrain()
    })
    stream.on('end', () => this.close('the other side has finished'))
  }

  allocate(byteCount: number): Uint8Array {
    return this.#stream.alloc(byteCount)
  }

  write(frame: Uint8Array): boolean {
    return this.#isOver ? true : this.#stream.write(frame)
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  setFrameLimit(byteCount: number): void {
    this.#stream.frameLimit = byteCount
  }

  rttMs(): number | null {
    const { rtt } = this.#stream.rawStream
    return rtt > 0 ? rtt : null
  }

  close(reason: string): void {
    if (this.#reason === '') this.#reason = reason
    this.#isOver = true
    closeSoon(this.#stream, reason)
  }

  finish(reason: string): void {
    if (this.#isOver) return
    this.#reason = reason
    this.#isOver = true
    this.#stream.end()
    const deadline = setTimeout(() => closeSoon(this.#stream, reason), FINISH_DEADLINE_MS)
    deadline.unref()
    this.#stream.on('close', () => clearTimeout(deadline))
  }
}

function addressOf(stream: CappedStream): Address | null {
  const { remoteHost, remotePort } = stream.rawStream
  if (remoteHost === null || !isIpv4(remoteHost) || !isPort(remotePort)) return null
  return { host: remoteHost, port: remotePort }
}

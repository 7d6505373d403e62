// The DHT with our guard in front: which keys may connect, how large a frame may be before anybody
// has proven anything, who is dialled. Hyperswarm is given this DHT, so it can neither accept nor dial
// around it (and its own firewall, which bans for good, never sees a key that we refuse).

import { Buffer } from 'node:buffer'
import DHT from 'hyperdht'
import type { ConnectOptions, DHTOptions, Server, ServerHandshake, ServerOptions } from 'hyperdht'
import NoiseSecretStream from '@hyperswarm/secret-stream'
import { MAX_HELLO_BYTES, MAX_REFUSED_HANDSHAKES } from '../limits.ts'

/** Bytes of a frame's encryption, which count with it. */
const CIPHER_BYTES = 17

/**
 * A secret stream that refuses frames above a limit as soon as their length is read. The stream
 * itself takes 16 MiB from anybody. Relies on private parts of secret-stream 6.9.2; tests fail if
 * they go away.
 *
 * The frame that raises the limit (a proof) may arrive in one packet with the first large one behind
 * it, and is handled only after this call. So a large frame is held back until the next turn, and
 * judged then.
 */
export class CappedStream extends NoiseSecretStream {
  frameLimit = MAX_HELLO_BYTES
  /** what arrived from the large frame on; null while there is none */
  #held: Uint8Array[] | null = null

  override _onrawdata(data: Uint8Array): void {
    if (this.#held !== null) {
      this.#held.push(data)
      return
    }
    const offset = offsetOfLargeFrame(this, data)
    if (offset === null) {
      super._onrawdata(data)
      return
    }
    if (offset > 0) super._onrawdata(data.subarray(0, offset))
    this.#held = [data.subarray(offset)]
    setImmediate(() => this.#release())
  }

  override _onrawend(): void {
    this.#release()
    super._onrawend()
  }

  #release(): void {
    if (this.#held === null || this.destroying) return
    const data = Buffer.concat(this.#held)
    this.#held = null
    if (offsetOfLargeFrame(this, data) === 0) {
      this.destroy(new Error(`a frame of more than ${this.frameLimit} bytes`))
    } else {
      this._onrawdata(data)
    }
  }
}

/**
 * Where in `data` the first frame begins that is larger than the stream allows; 0 also for one whose
 * length began earlier; null if there is none. Walks the lengths (uint24, little-endian) exactly as the
 * stream will.
 */
function offsetOfLargeFrame(stream: CappedStream, data: Uint8Array): number | null {
  const max = stream.frameLimit + CIPHER_BYTES
  let { _state: state, _len: length, _tmp: progress } = stream
  let begin = 0
  let offset = 0
  while (offset < data.byteLength) {
    if (state === 0) {
      length += progress * (data[offset++] ?? 0)
      progress *= 256
      if (progress < 0x1000000) continue
      if (length > max) return begin
      progress = 0
      state = 1
    } else {
      const present = Math.min(length - progress, data.byteLength - offset)
      offset += present
      progress += present
    }
    if (state === 1 && progress === length) {
      begin = offset
      state = 0
      length = 0
      progress = 1
    }
  }
  return null
}

export interface DhtGuard {
  /** Whether a key that knocks is answered. */
  mayKnock(publicKey: Uint8Array): boolean
  /** Whether Hyperswarm may dial a key that it found. */
  mayDial(publicKey: Uint8Array): boolean
  /** An inbound connection, whose key `mayKnock` let in. */
  onInbound(stream: CappedStream): void
}

export class GuardedDHT extends DHT {
  readonly #guard: DhtGuard

  constructor(options: DHTOptions, guard: DhtGuard) {
    super(options)
    this.#guard = guard
  }

  /**
   * The server that Hyperswarm makes: its connections go to the guard and never to Hyperswarm, which
   * would keep one per key and replace a live one by any newer.
   */
  override createServer(options: ServerOptions = {}): Server {
    const server = super.createServer(
      {
        ...options,
        firewall: (publicKey) => !this.#guard.mayKnock(publicKey),
        createSecretStream: (isInitiator, raw, streamOptions) =>
          new CappedStream(isInitiator, raw, streamOptions)
      },
      (stream) => {
        if (stream instanceof CappedStream) this.#guard.onInbound(stream)
        else stream.destroy()
      }
    )
    boundRefused(server)
    return server
  }

  /** Hyperswarm's dials to keys that it found under a topic. */
  override connect(publicKey: Uint8Array, options: ConnectOptions = {}): CappedStream {
    if (this.#guard.mayDial(publicKey)) return this.dial(publicKey, options)
    const stream = new CappedStream(true, null, {
      autoStart: false,
      publicKey: this.defaultKeyPair.publicKey,
      remotePublicKey: publicKey
    })
    stream.on('error', () => {})
    stream.destroy(new Error('not wanted'))
    return stream
  }

  /** A dial of ours. */
  dial(publicKey: Uint8Array, options: ConnectOptions): CappedStream {
    let made: CappedStream | null = null
    super.connect(Buffer.from(publicKey), {
      ...options,
      createSecretStream: (isInitiator, raw, streamOptions) => {
        made = new CappedStream(isInitiator, raw, streamOptions)
        return made
      }
    })
    if (made === null) throw new TypeError('hyperdht made a stream of its own')
    return made
  }
}

/**
 * The server keeps the state of each handshake for 10 s, also of those that it cannot read or that the
 * firewall does not let in; anybody can send those, as fast as the line allows. Here the oldest of them go
 * first: all that is lost is that a repeated packet is judged again. Those that were let in are bounded by
 * the gate. Relies on private parts of hyperdht 6.34.0; a test fails if they go away.
 */
function boundRefused(server: Server): void {
  const refused: { handshake: ServerHandshake; id: number; key: string }[] = []
  const clearLater = server._clearLater.bind(server)
  server._clearLater = (handshake, id, key) => {
    clearLater(handshake, id, key)
    if (!handshake.firewalled) return
    refused.push({ handshake, id, key })
    const oldest = refused.length > MAX_REFUSED_HANDSHAKES ? refused.shift() : undefined
    if (oldest !== undefined) server._clear(oldest.handshake, oldest.id, oldest.key)
  }
}

// Puts the fragments of one channel together again. The sender finishes one message before it
// starts the next on the same channel (outbox.ts); anything else is a violation.

import { ProtocolError } from '../errors.ts'
import { MAX_FRAGMENT_BYTES, MAX_RPC_MESSAGE_SIZE, MIN_BULK_WINDOW_BYTES } from '../limits.ts'
import { FIRST_HEADER_BYTES } from './outbox.ts'

export class Inbox {
  #whole: Uint8Array | null = null
  #offset = 0

  /** The message if the fragment completes one. @throws ProtocolError */
  first(bytes: Uint8Array): Uint8Array | null {
    if (this.#whole !== null) throw new ProtocolError('a message begins inside another')
    if (bytes.byteLength <= FIRST_HEADER_BYTES) throw new ProtocolError('an empty fragment')
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const byteCount = view.getUint32(0, true)
    if (byteCount <= MAX_FRAGMENT_BYTES || byteCount > MAX_RPC_MESSAGE_SIZE) {
      throw new ProtocolError(`a message of ${byteCount} bytes in fragments`)
    }
    this.#whole = new Uint8Array(byteCount)
    this.#offset = 0
    return this.#append(this.#whole, bytes.subarray(FIRST_HEADER_BYTES))
  }

  /** The message if the fragment completes it. @throws ProtocolError */
  next(bytes: Uint8Array): Uint8Array | null {
    if (this.#whole === null) throw new ProtocolError('a fragment of nothing')
    if (bytes.byteLength === 0) throw new ProtocolError('an empty fragment')
    return this.#append(this.#whole, bytes)
  }

  #append(whole: Uint8Array, bytes: Uint8Array): Uint8Array | null {
    if (this.#offset + bytes.byteLength > whole.byteLength) {
      throw new ProtocolError('more fragments than the message has bytes')
    }
    whole.set(bytes, this.#offset)
    this.#offset += bytes.byteLength
    if (this.#offset < whole.byteLength) {
      // each fragment costs an acknowledgement: crumbs would cost more to take than to send
      if (bytes.byteLength < MIN_BULK_WINDOW_BYTES) throw new ProtocolError('a small fragment')
      return null
    }
    this.#whole = null
    return whole
  }
}

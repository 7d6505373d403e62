// Answers whose text may be long: built piece by piece, in slices, and sent as a stream so that a slow
// client holds back the rest.

import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'

export class Pieces {
  readonly #buffers: Buffer[] = []
  #text: string[] = []
  #textLength = 0

  /** Adds JSON text. */
  addText(text: string): void {
    this.#text.push(text)
    this.#textLength += text.length
    if (this.#textLength >= PIECE_LENGTH) this.#flush()
  }

  /** Adds JSON as UTF-8; the bytes are not copied. */
  addBytes(bytes: Buffer): void {
    this.#flush()
    this.#buffers.push(bytes)
  }

  /** Sends all as the JSON body of `reply`, with its length. */
  send(reply: FastifyReply): FastifyReply {
    this.#flush()
    const byteCount = this.#buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0)
    reply.type('application/json; charset=utf-8').header('content-length', byteCount)
    if (byteCount <= PIECE_LENGTH) return reply.send(Buffer.concat(this.#buffers))
    return reply.send(Readable.from(this.#buffers))
  }

  #flush(): void {
    if (this.#textLength === 0) return
    this.#buffers.push(Buffer.from(this.#text.join('')))
    this.#text = []
    this.#textLength = 0
  }
}

/** Characters that become one buffer; a longer item is one by itself. */
const PIECE_LENGTH = 64 * 1024

// Bytes from stdin, bounded.

import type { Readable } from 'node:stream'
import type { AspenError } from '../errors.ts'

/**
 * All of the stream.
 * @param max with more bytes than this the call ends with `tooMuch()`, and nothing more is read
 */
export async function readInput(
  stream: Readable,
  max: number,
  tooMuch: () => AspenError
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    const bytes: Uint8Array = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    size += bytes.byteLength
    if (size > max) throw tooMuch()
    chunks.push(bytes)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

// The fingerprint of the live rows: the sum modulo 2^256 of one hash per row. A sum does not depend
// on the order of writing, and a row that goes is subtracted, so it costs one hash per change; two
// nodes at the same index can be compared by 32 bytes. It finds faults of disks and of code, not
// attackers (Bellare and Micciancio, 1997, on why a sum is weaker than a tree).

import b4a from 'b4a'
import { HASH_BYTES, hash, namespace } from '../crypto.ts'
import type { Content, KeyValue } from './state-machine.ts'
import type { PlannedRow } from './write-plan.ts'

/** No rows. */
export const EMPTY_STATE_HASH: Uint8Array = new Uint8Array(HASH_BYTES)

const ROW_NAMESPACE = namespace('state-row/1')

/**
 * BLAKE2b-256(namespace ‖ create revision ‖ mod revision ‖ version ‖ key length ‖ value length ‖ key
 * ‖ value); the numbers as big-endian 64-bit integers.
 */
export function rowHash(row: KeyValue): Uint8Array {
  const numbers = new Uint8Array(40)
  const view = new DataView(numbers.buffer)
  view.setBigUint64(0, BigInt(row.createRevision))
  view.setBigUint64(8, BigInt(row.modRevision))
  view.setBigUint64(16, BigInt(row.version))
  view.setBigUint64(24, BigInt(row.key.byteLength))
  view.setBigUint64(32, BigInt(row.value.byteLength))
  return hash(ROW_NAMESPACE, numbers, row.key, row.value)
}

/** `sum + term` modulo 2^256, big-endian. */
export function addHash(sum: Uint8Array, term: Uint8Array): Uint8Array {
  const out = new Uint8Array(HASH_BYTES)
  let carry = 0
  for (let at = HASH_BYTES - 1; at >= 0; at--) {
    const total = (sum[at] ?? 0) + (term[at] ?? 0) + carry
    out[at] = total & 0xff
    carry = total >> 8
  }
  return out
}

/** `sum - term` modulo 2^256, big-endian. */
function subtractHash(sum: Uint8Array, term: Uint8Array): Uint8Array {
  const out = new Uint8Array(HASH_BYTES)
  let borrow = 0
  for (let at = HASH_BYTES - 1; at >= 0; at--) {
    const total = (sum[at] ?? 0) - (term[at] ?? 0) - borrow
    out[at] = total & 0xff
    borrow = total < 0 ? 1 : 0
  }
  return out
}

/** No rows. */
export const EMPTY_CONTENT: Content = { stateHash: EMPTY_STATE_HASH, liveCount: 0, liveBytes: 0 }

/** With one more live row, whose hash is `term` and whose key and value have `byteCount` bytes. */
export function contentWith(before: Content, term: Uint8Array, byteCount: number): Content {
  const { stateHash, liveCount, liveBytes } = before
  return {
    stateHash: addHash(stateHash, term),
    liveCount: liveCount + 1,
    liveBytes: liveBytes + byteCount
  }
}

export function isSameContent(a: Content, b: Content): boolean {
  return (
    b4a.equals(a.stateHash, b.stateHash) &&
    a.liveCount === b.liveCount &&
    a.liveBytes === b.liveBytes
  )
}

/** What the live rows amount to after `row`, whose hash is `after`; null for a tombstone. */
export function contentAfter(before: Content, row: PlannedRow, after: Uint8Array | null): Content {
  let { stateHash, liveCount, liveBytes } = before
  const { key, value, previous } = row
  if (previous !== null) {
    stateHash = subtractHash(stateHash, previous.hash)
    liveCount--
    liveBytes -= key.byteLength + previous.valueBytes
  }
  const content = { stateHash, liveCount, liveBytes }
  if (value === null || after === null) return content
  return contentWith(content, after, key.byteLength + value.byteLength)
}

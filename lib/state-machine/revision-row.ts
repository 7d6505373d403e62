// A row of the table `revisions` and what is stored beside it, so that no row that a fault of the disk has
// changed is taken for history: SQLite does not notice. 32 bytes:
//
//   the first 16 of the hash of the content (state-hash.ts; of a tombstone, as if its value were empty)
//   the first 16 of BLAKE2b-256(namespace ‖ id ‖ superseded ‖ 1 for a tombstone ‖ the 16 bytes above)
//
// The second half is checked without reading the value. Not a secret: it finds faults of disks. Pure.

import b4a from 'b4a'
import { HASH_BYTES, hash, namespace } from '../crypto.ts'
import { REVISION_STRIDE } from '../limits.ts'
import { rowHash } from './state-hash.ts'
import type { Revision } from './state-machine.ts'

/** Where a row lies in the history. */
export interface RowPlace {
  /** revision × REVISION_STRIDE + ordinal of the change in its entry */
  readonly id: number
  /** the row that was the newest of the key before; 0: none */
  readonly superseded: number
  readonly isTombstone: boolean
}

export interface RevisionRow {
  readonly id: number
  readonly superseded: number
  readonly createRevision: Revision
  readonly version: number
  readonly key: Uint8Array
  /** null: a tombstone */
  readonly value: Uint8Array | null
}

/** The revision of a row, by its id. */
export function revisionOf(row: number): Revision {
  return Math.floor(row / REVISION_STRIDE)
}

/** Hash of what the row says; of a row with value its term of the state hash. */
export function contentHash(row: RevisionRow): Uint8Array {
  const { id, createRevision, version, key, value } = row
  const modRevision = revisionOf(id)
  return rowHash({ key, value: value ?? EMPTY, createRevision, modRevision, version })
}

/** What is stored beside a row with this content. */
export function sealOf({ id, superseded, value }: RevisionRow, content: Uint8Array): Uint8Array {
  const seal = new Uint8Array(2 * HALF_BYTES)
  seal.set(content.subarray(0, HALF_BYTES))
  const place = { id, superseded, isTombstone: value === null }
  seal.set(placeSeal(place, seal.subarray(0, HALF_BYTES)), HALF_BYTES)
  return seal
}

/** Whether a row with this seal was written there. */
export function isInPlace(place: RowPlace, seal: Uint8Array): boolean {
  if (seal.byteLength !== 2 * HALF_BYTES) return false
  return b4a.equals(placeSeal(place, seal.subarray(0, HALF_BYTES)), seal.subarray(HALF_BYTES))
}

const HALF_BYTES = 16
const EMPTY = new Uint8Array(0)

/** What is hashed for a place: written anew for each, which costs half of making it anew. */
const PLACE = new Uint8Array(HASH_BYTES + 17 + HALF_BYTES)
PLACE.set(namespace('state-revision/1'))
const PLACE_VIEW = new DataView(PLACE.buffer, HASH_BYTES)

function placeSeal({ id, superseded, isTombstone }: RowPlace, content: Uint8Array): Uint8Array {
  PLACE_VIEW.setBigUint64(0, BigInt(id))
  PLACE_VIEW.setBigUint64(8, BigInt(superseded))
  PLACE_VIEW.setUint8(16, isTombstone ? 1 : 0)
  PLACE.set(content, HASH_BYTES + 17)
  return hash(PLACE).subarray(0, HALF_BYTES)
}

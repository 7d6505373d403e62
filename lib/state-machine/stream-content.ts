// Whether the records of a snapshot stream amount to what its head says, without making a database of
// them: every live key is the row that it names, with that row's hash, and all of them together have the
// state hash. Remembers 40 bytes per row with a value.

import b4a from 'b4a'
import { HASH_BYTES } from '../crypto.ts'
import { ProtocolError } from '../errors.ts'
import { REVISION_STRIDE } from '../limits.ts'
import { contentWith, EMPTY_CONTENT, isSameContent, rowHash } from './state-hash.ts'
import type { Content } from './state-machine.ts'
import type {
  SnapshotCounts,
  SnapshotHead,
  SnapshotKey,
  SnapshotRecord,
  SnapshotRow
} from './snapshot-encoding.ts'

/** What a whole stream holds. */
export interface StreamContent {
  readonly head: SnapshotHead
  readonly counts: SnapshotCounts
}

export class ContentCheck {
  #head: SnapshotHead | null = null
  #counts: SnapshotCounts | null = null
  readonly #rows = new RowHashes()
  #content: Content = EMPTY_CONTENT

  /** The records of a stream, in its order. @throws ProtocolError when they contradict each other */
  take(each: SnapshotRecord): void {
    if (each.kind === 'head') this.#head = each
    else if (each.kind === 'row') this.#takeRow(each)
    else if (each.kind === 'key') this.#takeKey(each)
    else if (each.kind === 'end') this.#counts = each
  }

  /** After the end of the stream. @throws ProtocolError */
  end(): StreamContent {
    const head = this.#head
    const counts = this.#counts
    if (head === null || counts === null) throw new ProtocolError('the snapshot ends too early')
    if (!isSameContent(this.#content, head.applied))
      throw new ProtocolError('the rows are not what the state hash says')
    return { head, counts }
  }

  #takeRow(row: SnapshotRow): void {
    const { revision, ordinal, createRevision, version, key, value } = row
    if (value === null) return
    const hash = rowHash({ key, value, createRevision, modRevision: revision, version })
    this.#rows.add(revision * REVISION_STRIDE + ordinal, hash)
  }

  #takeKey({ key, revision, ordinal, valueBytes, hash }: SnapshotKey): void {
    const found = this.#rows.at(revision * REVISION_STRIDE + ordinal)
    if (found === null || !b4a.equals(found, hash))
      throw new ProtocolError(`the key of revision ${revision} is not the row that it names`)
    this.#content = contentWith(this.#content, hash, key.byteLength + valueBytes)
  }
}

/** Hashes by row id, which come ascending. */
class RowHashes {
  #ids = new Float64Array(1_024)
  #hashes = new Uint8Array(1_024 * HASH_BYTES)
  #count = 0

  add(id: number, hash: Uint8Array): void {
    if (this.#count === this.#ids.length) this.#grow()
    this.#ids[this.#count] = id
    this.#hashes.set(hash, this.#count * HASH_BYTES)
    this.#count++
  }

  at(id: number): Uint8Array | null {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ids[middle] ?? 0) < id) low = middle + 1
      else high = middle
    }
    if (low === this.#count || this.#ids[low] !== id) return null
    return this.#hashes.subarray(low * HASH_BYTES, (low + 1) * HASH_BYTES)
  }

  #grow(): void {
    const ids = new Float64Array(2 * this.#ids.length)
    const hashes = new Uint8Array(2 * this.#hashes.length)
    ids.set(this.#ids)
    hashes.set(this.#hashes)
    this.#ids = ids
    this.#hashes = hashes
  }
}

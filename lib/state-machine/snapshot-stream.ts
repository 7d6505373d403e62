// Records to the bytes of a snapshot, and back. Pure, and bounded by one record: both sides see a stream
// as pieces that come one after the other, so it may be as long as a disk.
//
//   const writer = new SnapshotWriter((chunk) => …)      const reader = new SnapshotReader()
//   for (const record of records) writer.add(record)     for (const piece of pieces)
//   writer.end()                                           for (const record of reader.push(piece)) …
//                                                        reader.end()
//
// The reader takes pieces of any size and refuses what no writer makes: other orders, a record twice,
// other counts, anything behind the end. Whether the rows are what the head says is for whoever keeps them.

import b4a from 'b4a'
import { assert, present, unreachable } from '../assert.ts'
import { HASH_BYTES, hash } from '../crypto.ts'
import { decode, encode } from '../encoding.ts'
import { ProtocolError } from '../errors.ts'
import {
  KEPT_SNAPSHOTS,
  MAX_SNAPSHOT_CHUNKS,
  MAX_SNAPSHOT_RECORD_BYTES,
  REVISION_STRIDE,
  SNAPSHOT_CHUNK_BYTES
} from '../limits.ts'
import type { Index } from '../raft/entry.ts'
import { RECORD_HEADER_BYTES, SNAPSHOT_MAGIC, snapshotRecordEncoding } from './snapshot-encoding.ts'
import type { SnapshotInfo, SnapshotName } from './state-machine.ts'
import type { SnapshotCounts, SnapshotHead, SnapshotRecord } from './snapshot-encoding.ts'

/** What a whole stream amounts to. */
export interface StreamTotals {
  readonly byteCount: number
  readonly chunkCount: number
  /** hash of each chunk, one after the other */
  readonly manifest: Uint8Array
  readonly contentHash: Uint8Array
}

/** The name of the content that has this manifest. */
export function contentHashOf(manifest: Uint8Array): Uint8Array {
  return hash(manifest)
}

/** Bytes of a chunk of a stream of `byteCount`. */
export function chunkBytesAt(position: number, byteCount: number): number {
  return Math.min(SNAPSHOT_CHUNK_BYTES, byteCount - position * SNAPSHOT_CHUNK_BYTES)
}

/** Whether it has as many hashes as there are chunks, and the content its name. */
export function isManifestOf(info: SnapshotInfo, manifest: Uint8Array): boolean {
  const { chunkCount, byteCount, contentHash } = info
  return (
    manifest.byteLength === chunkCount * HASH_BYTES &&
    chunkCount === Math.ceil(byteCount / SNAPSHOT_CHUNK_BYTES) &&
    chunkCount > 0 &&
    chunkCount <= MAX_SNAPSHOT_CHUNKS &&
    b4a.equals(contentHashOf(manifest), contentHash)
  )
}

/** Whether they name the same snapshot. */
export function isSameSnapshot(a: SnapshotName, b: SnapshotName): boolean {
  return a.index === b.index && b4a.equals(a.contentHash, b.contentHash)
}

/**
 * Those that stay, newest first: KEPT_SNAPSHOTS of what has been applied, which a state can be made from again, and
 * the newest one that is ahead of it, on its way to be adopted.
 */
export function keptOf<T extends { readonly info: SnapshotName }>(
  snapshots: readonly T[],
  appliedIndex: Index
): readonly T[] {
  const all = snapshots.toSorted((a, b) => b.info.index - a.info.index)
  const ahead = all.filter(({ info }) => info.index > appliedIndex).slice(0, 1)
  const reached = all.filter(({ info }) => info.index <= appliedIndex).slice(0, KEPT_SNAPSHOTS)
  return [...ahead, ...reached]
}

/** The hash of a chunk. */
export function hashAt(manifest: Uint8Array, position: number): Uint8Array {
  return manifest.subarray(position * HASH_BYTES, (position + 1) * HASH_BYTES)
}

export class SnapshotWriter {
  readonly #onChunk: (bytes: Uint8Array) => void
  readonly #order = new RecordOrder()
  readonly #chunk = new Uint8Array(SNAPSHOT_CHUNK_BYTES)
  readonly #header = new Uint8Array(RECORD_HEADER_BYTES)
  #filled = 0
  #byteCount = 0
  #manifest = new Uint8Array(64 * HASH_BYTES)
  #chunkCount = 0

  /** `onChunk` gets each chunk once; its bytes change when it has returned. */
  constructor(onChunk: (bytes: Uint8Array) => void) {
    this.#onChunk = onChunk
    this.#write(SNAPSHOT_MAGIC)
  }

  /** The next record, not the end, in the order of the format. */
  add(each: Exclude<SnapshotRecord, { kind: 'end' }>): void {
    const problem = this.#order.take(each)
    assert(problem === null, problem ?? '')
    this.#put(each)
  }

  /** Writes the end, with the counts of what was added. */
  end(): StreamTotals {
    const end = { kind: 'end', ...this.#order.counts } as const
    const problem = this.#order.take(end)
    assert(problem === null, problem ?? '')
    this.#put(end)
    if (this.#filled > 0) this.#flush()
    const manifest = this.#manifest.slice(0, this.#chunkCount * HASH_BYTES)
    return {
      byteCount: this.#byteCount,
      chunkCount: this.#chunkCount,
      manifest,
      contentHash: contentHashOf(manifest)
    }
  }

  #put(each: SnapshotRecord): void {
    const bytes = encode(snapshotRecordEncoding, each)
    assert(bytes.byteLength <= MAX_SNAPSHOT_RECORD_BYTES, 'a record is bounded')
    new DataView(this.#header.buffer).setUint32(0, bytes.byteLength, true)
    this.#write(this.#header)
    this.#write(bytes)
  }

  #write(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.byteLength) {
      const size = Math.min(bytes.byteLength - at, SNAPSHOT_CHUNK_BYTES - this.#filled)
      this.#chunk.set(bytes.subarray(at, at + size), this.#filled)
      this.#filled += size
      at += size
      if (this.#filled === SNAPSHOT_CHUNK_BYTES) this.#flush()
    }
  }

  #flush(): void {
    assert(this.#chunkCount < MAX_SNAPSHOT_CHUNKS, 'a snapshot is bounded')
    const chunk = this.#chunk.subarray(0, this.#filled)
    const at = this.#chunkCount * HASH_BYTES
    if (at === this.#manifest.byteLength) {
      const larger = new Uint8Array(2 * at)
      larger.set(this.#manifest)
      this.#manifest = larger
    }
    this.#manifest.set(hash(chunk), at)
    this.#chunkCount++
    this.#byteCount += this.#filled
    this.#filled = 0
    this.#onChunk(chunk)
  }
}

export class SnapshotReader {
  readonly #order = new RecordOrder()
  /** what has come of a record, or of the magic, that is not complete; `held` bytes of it */
  #partial = new Uint8Array(SNAPSHOT_MAGIC.byteLength)
  #held = 0
  #isBegun = false;

  /**
   * The records that `bytes` completes. Their keys and values are views, good until the next call.
   * @throws ProtocolError
   */
  *push(bytes: Uint8Array): Generator<SnapshotRecord, void, void> {
    let at = this.#isBegun ? 0 : this.#takeMagic(bytes)
    while (at < bytes.byteLength) {
      const whole = this.#held === 0 ? sizeAt(bytes, at) : null
      if (whole !== null && at + whole <= bytes.byteLength) {
        yield this.#take(bytes.subarray(at, at + whole))
        at += whole
        continue
      }
      at += this.#hold(bytes.subarray(at))
      if (this.#held < RECORD_HEADER_BYTES || this.#held < this.#partial.byteLength) continue
      this.#held = 0
      yield this.#take(this.#partial)
      this.#partial = new Uint8Array(RECORD_HEADER_BYTES)
    }
  }

  /** All has been pushed. @throws ProtocolError when the stream is not complete */
  end(): void {
    if (!this.#order.isEnded || this.#held > 0)
      throw new ProtocolError('the snapshot ends too early')
  }

  #takeMagic(bytes: Uint8Array): number {
    const size = Math.min(bytes.byteLength, SNAPSHOT_MAGIC.byteLength - this.#held)
    this.#partial.set(bytes.subarray(0, size), this.#held)
    this.#held += size
    if (this.#held < SNAPSHOT_MAGIC.byteLength) return size
    if (!b4a.equals(this.#partial, SNAPSHOT_MAGIC))
      throw new ProtocolError('not a snapshot of a format that this version knows')
    this.#isBegun = true
    this.#held = 0
    this.#partial = new Uint8Array(RECORD_HEADER_BYTES)
    return size
  }

  /** Puts aside what belongs to the record that is not complete. @returns how many bytes */
  #hold(bytes: Uint8Array): number {
    const size = Math.min(bytes.byteLength, this.#partial.byteLength - this.#held)
    this.#partial.set(bytes.subarray(0, size), this.#held)
    this.#held += size
    if (this.#held === RECORD_HEADER_BYTES && this.#partial.byteLength === RECORD_HEADER_BYTES) {
      const larger = new Uint8Array(present(sizeAt(this.#partial, 0), 'the size of a record'))
      larger.set(this.#partial)
      this.#partial = larger
    }
    return size
  }

  /** A whole record with its header. */
  #take(bytes: Uint8Array): SnapshotRecord {
    const each = decode(snapshotRecordEncoding, bytes.subarray(RECORD_HEADER_BYTES))
    const problem = this.#order.take(each)
    if (problem !== null) throw new ProtocolError(problem)
    return each
  }
}

const SECTIONS = ['head', 'node', 'removed', 'invite', 'session', 'row', 'key', 'end'] as const

/** What the format says of the order of records, and how many there were. */
class RecordOrder {
  #section = -1
  /** of the record before, in its section */
  #number = -1
  #key: Uint8Array | null = null
  readonly counts = { nodes: 0, removed: 0, invites: 0, sessions: 0, rows: 0, keys: 0 }
  #head: SnapshotHead | null = null

  get isEnded(): boolean {
    return this.#section === SECTIONS.length - 1
  }

  /** The next record. @returns why it cannot come now; null when it can */
  take(each: SnapshotRecord): string | null {
    const section = SECTIONS.indexOf(each.kind)
    if (this.#section === -1 && section !== 0) return 'a snapshot begins with its head'
    if (section < this.#section || this.isEnded || (section === 0 && this.#section === 0))
      return 'the records of a snapshot are not in order'
    if (section > this.#section) {
      this.#section = section
      this.#number = -1
    }
    return this.#takeInSection(each)
  }

  #takeInSection(each: SnapshotRecord): string | null {
    switch (each.kind) {
      case 'head':
        this.#head = each
        return problemOfHead(each)
      case 'node':
        this.counts.nodes++
        return this.#ascending(each.node.id)
      case 'removed':
        this.counts.removed++
        return this.#ascending(each.removed.id)
      case 'invite':
        this.counts.invites++
        return this.#ascending(each.invite.createdIndex)
      case 'session':
        this.counts.sessions++
        return this.#ascending(each.session.bornIndex)
      case 'row':
        this.counts.rows++
        return this.#takeRow(each)
      case 'key':
        this.counts.keys++
        return this.#takeKey(each.key)
      case 'end':
        return this.#takeEnd(each)
      default:
        return unreachable(each)
    }
  }

  #takeRow(row: Extract<SnapshotRecord, { kind: 'row' }>): string | null {
    const { index, compactedRevision } = present(this.#head, 'the head').applied
    const id = row.revision * REVISION_STRIDE + row.ordinal
    const superseded = row.supersededRevision * REVISION_STRIDE + row.supersededOrdinal
    if (row.revision < 1 || row.revision > index)
      return 'a row is not of the time before the snapshot'
    if (row.key.byteLength === 0) return 'a row has no key'
    if (superseded >= id || row.createRevision > row.revision) return 'a row follows a later one'
    if (row.revision > compactedRevision) return this.#ascending(id)
    if (superseded > 0 || row.value === null) return 'a row has what is forgotten'
    return this.#ascending(id)
  }

  #takeKey(key: Uint8Array): string | null {
    const before = this.#key
    // a copy: the piece that it is a view of goes
    this.#key = key.slice()
    if (before === null || b4a.compare(before, key) < 0) return null
    return 'the keys of a snapshot are not in order'
  }

  #takeEnd(end: SnapshotCounts): string | null {
    const { nodes, removed, invites, sessions, rows, keys } = this.counts
    const isSame =
      end.nodes === nodes &&
      end.removed === removed &&
      end.invites === invites &&
      end.sessions === sessions &&
      end.rows === rows &&
      end.keys === keys
    if (!isSame) return 'a snapshot lacks records, or has too many'
    if (keys !== this.#head?.applied.liveCount) return 'a snapshot has other keys than it says'
    return null
  }

  #ascending(number: number): string | null {
    const before = this.#number
    this.#number = number
    return number > before ? null : 'the records of a snapshot are not in order'
  }
}

function problemOfHead({ applied }: SnapshotHead): string | null {
  const { index, compactedRevision, configurationIndex } = applied
  if (compactedRevision > index) return 'a snapshot is compacted beyond its own index'
  return configurationIndex > index ? 'a snapshot has a configuration of later' : null
}

/** Bytes of the record at `at` with its header; null when the header is not complete. */
function sizeAt(bytes: Uint8Array, at: number): number | null {
  if (at + RECORD_HEADER_BYTES > bytes.byteLength) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, RECORD_HEADER_BYTES)
  const size = view.getUint32(0, true)
  if (size > MAX_SNAPSHOT_RECORD_BYTES)
    throw new ProtocolError(`a record of ${size} bytes in a snapshot`)
  return RECORD_HEADER_BYTES + size
}

// What members ask of each other over `aspen/snapshot`, format 1. One request, one answer; the first byte
// is the format, the second the kind. uint is compact-encoding's; hashes have 32 bytes.
//
//   offer     1 1 ‖ term uint ‖ snapshot         (a leader to a follower that needs it)
//   manifest  1 2 ‖ index uint ‖ contentHash ‖ from uint
//   chunk     1 3 ‖ index uint ‖ contentHash ‖ position uint
//   entry     1 4 ‖ index uint ‖ hash            (of an entry of the log)
//   verdict   1 5 ‖ index uint ‖ hash            (likewise: whether it can have been committed)
//   digest    1 6 ‖ index uint                   (of a snapshot of the asked one)
//   newest    1 7 ‖ index uint                   (a snapshot of the asked one at or above it)
//
//   noted          1 16                          (an offer was read)
//   notHere        1 17                          (or asked of the wrong one)
//   busy           1 18                          (ask again later)
//   manifest       1 19 ‖ bytes                  (hashes of chunks, from that one on)
//   chunk          1 20 ‖ bytes                  (at most SNAPSHOT_CHUNK_BYTES)
//   entry          1 21 ‖ previousHash ‖ term uint ‖ kind u8 ‖ timeMs uint ‖ payload
//   neverCommitted 1 22 ‖ term uint             (in which the sender leads)
//   digest         1 23 ‖ contentHash
//   snapshot       1 24 ‖ snapshot
//
//   snapshot  index uint ‖ term uint ‖ chainHash ‖ contentHash ‖ byteCount uint ‖ chunkCount uint
//
// An entry on the wire has neither index nor hash: the index is the one that was asked for, the hash is
// computed by whoever asked, and compared with the one that it wants.

import c from 'compact-encoding'
import { HASH_BYTES } from '../crypto.ts'
import type { Encoder } from '../encoding.ts'
import { boundedUint, boundedView, fixedBytes } from '../encoding.ts'
import { MAX_ENTRY_BYTES, MAX_INDEX, MAX_MANIFEST_PAGE, MAX_SNAPSHOT_CHUNKS } from '../limits.ts'
import { MAX_TERM, MAX_TIME_MS, SNAPSHOT_CHUNK_BYTES } from '../limits.ts'
import type { Entry, Index, Term } from '../raft/entry.ts'
import { checked, record, tagged, versioned } from '../record.ts'
import type { SnapshotInfo, SnapshotName } from '../state-machine/state-machine.ts'

/** `term` is that in which the sender leads. */
export interface SnapshotOffer {
  readonly term: Term
  readonly snapshot: SnapshotInfo
}

/** An entry with what is needed to compute its hash. */
export interface LinkedEntry extends Omit<Entry, 'index' | 'hash'> {
  readonly previousHash: Uint8Array
}

export type SnapshotRequest =
  | ({ readonly kind: 'offer' } & SnapshotOffer)
  /** hashes of at most MAX_MANIFEST_PAGE chunks, of [from, …) */
  | ({ readonly kind: 'manifest'; readonly from: number } & SnapshotName)
  | ({ readonly kind: 'chunk'; readonly position: number } & SnapshotName)
  | { readonly kind: 'entry'; readonly index: Index; readonly hash: Uint8Array }
  | { readonly kind: 'verdict'; readonly index: Index; readonly hash: Uint8Array }
  | { readonly kind: 'digest'; readonly index: Index }
  /** of one whose own state is lost: the newest snapshot, if that is at or above the index */
  | { readonly kind: 'newest'; readonly index: Index }

export type SnapshotAnswer =
  | { readonly kind: 'noted' }
  /** this node has not what is asked for, or is not the one to ask */
  | { readonly kind: 'notHere' }
  | { readonly kind: 'busy' }
  | { readonly kind: 'manifest'; readonly bytes: Uint8Array }
  | { readonly kind: 'chunk'; readonly bytes: Uint8Array }
  | { readonly kind: 'entry'; readonly entry: LinkedEntry }
  /** the leader of `term` says: no entry with this hash was committed at this index */
  | { readonly kind: 'neverCommitted'; readonly term: Term }
  | { readonly kind: 'digest'; readonly contentHash: Uint8Array }
  | { readonly kind: 'snapshot'; readonly snapshot: SnapshotInfo }

const FORMAT = { what: 'format', byte: 1 }
const hash = fixedBytes(HASH_BYTES)
const term = boundedUint(MAX_TERM)
const index = checked(boundedUint(MAX_INDEX), (value) => (value > 0 ? null : 'an index of 0'))
const chunkCount = boundedUint(MAX_SNAPSHOT_CHUNKS)
const position = boundedUint(MAX_SNAPSHOT_CHUNKS - 1)
const id = { index, contentHash: hash }

const snapshot: Encoder<SnapshotInfo> = checked(
  record<SnapshotInfo>({
    index,
    term,
    chainHash: hash,
    contentHash: hash,
    byteCount: boundedUint(MAX_SNAPSHOT_CHUNKS * SNAPSHOT_CHUNK_BYTES),
    chunkCount
  }),
  (info) =>
    info.chunkCount > 0 && Math.ceil(info.byteCount / SNAPSHOT_CHUNK_BYTES) === info.chunkCount
      ? null
      : `${info.byteCount} bytes in ${info.chunkCount} chunks`
)

const linkedEntry = record<LinkedEntry>({
  previousHash: hash,
  term,
  kind: c.uint8,
  timeMs: boundedUint(MAX_TIME_MS),
  payload: boundedView(MAX_ENTRY_BYTES)
})

const nothing = record({})

/** Decodes only what makes sense; buffers may be views. */
export const snapshotRequest: Encoder<SnapshotRequest> = versioned(
  FORMAT,
  tagged<SnapshotRequest>('request', {
    offer: { byte: 1, body: record({ term, snapshot }) },
    manifest: { byte: 2, body: record({ ...id, from: position }) },
    chunk: { byte: 3, body: record({ ...id, position }) },
    entry: { byte: 4, body: record({ index, hash }) },
    verdict: { byte: 5, body: record({ index, hash }) },
    digest: { byte: 6, body: record({ index }) },
    newest: { byte: 7, body: record({ index }) }
  })
)

/** Bytes are views of what was decoded. */
export const snapshotAnswer: Encoder<SnapshotAnswer> = versioned(
  FORMAT,
  tagged<SnapshotAnswer>('answer', {
    noted: { byte: 16, body: nothing },
    notHere: { byte: 17, body: nothing },
    busy: { byte: 18, body: nothing },
    manifest: { byte: 19, body: record({ bytes: boundedView(MAX_MANIFEST_PAGE * HASH_BYTES) }) },
    chunk: { byte: 20, body: record({ bytes: boundedView(SNAPSHOT_CHUNK_BYTES) }) },
    entry: { byte: 21, body: record({ entry: linkedEntry }) },
    neverCommitted: { byte: 22, body: record({ term }) },
    digest: { byte: 23, body: record({ contentHash: hash }) },
    snapshot: { byte: 24, body: record({ snapshot }) }
  })
)

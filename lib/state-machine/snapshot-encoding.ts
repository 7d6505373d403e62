// The snapshot stream: everything that the log amounts to, as bytes that are the same on every member.
// Format 2.
//
//   stream = 'aspensnp' ‖ version u8 (2) ‖ record …
//   record = size of what follows u32, little-endian ‖ kind u8 ‖ body
//
//     kind 0  head     genesisHash 32 B ‖ index ‖ term ‖ chainHash 32 B ‖ timeMs ‖ configuration
//                      ‖ configurationIndex ‖ stateHash 32 B ‖ liveCount ‖ liveBytes ‖ votersChangedMs
//                      ‖ compactedRevision ‖ featureLevel ‖ epoch ‖ nextNodeId ‖ forgottenIndex
//     kind 1  node     as in the database (encoding.ts), ascending by id
//     kind 2  removed  likewise, by id
//     kind 3  invite   likewise, by createdIndex; closed ones too
//     kind 4  session  likewise, by bornIndex
//     kind 5  row      revision ‖ ordinal ‖ superseded revision ‖ its ordinal (0 0: none, or forgotten)
//                      ‖ createRevision ‖ version ‖ key ‖ value or null; ascending by (revision, ordinal)
//     kind 6  key      key ‖ revision ‖ ordinal ‖ createRevision ‖ version ‖ valueBytes ‖ hash 32 B;
//                      ascending by the bytes of the key
//     kind 7  end      how many records there were of each kind, nodes first
//
// Records come in the order of their kinds, one head first and one end last. So a reader that fills tables
// appends to each of them. The rows are the history since the compaction and everything that is live; a
// row at or before `compactedRevision` says 0 0 for what it superseded, because that has been forgotten.
// Keys repeat what the newest rows of live keys say, so that nobody has to sort. Integers and lengths
// are compact-encoding's `uint` unless a width is given.
//
// Nothing in it is local: no path, no boot counter, no progress of a compaction. What a backup leaves out:
// `withoutSecrets`.

import c from 'compact-encoding'
import { HASH_BYTES } from '../crypto.ts'
import type { Encoder } from '../encoding.ts'
import { boundedUint, boundedView, bytesOf, fixedBytes } from '../encoding.ts'
import {
  MAX_CHANGES_PER_ENTRY,
  MAX_INDEX,
  MAX_KEY_SIZE,
  MAX_TERM,
  MAX_VALUE_SIZE
} from '../limits.ts'
import { MAX_NODE_ID } from '../node-id.ts'
import { configurationEncoding } from '../raft/encoding.ts'
import type { Index } from '../raft/entry.ts'
import { nullable, record, tagged } from '../record.ts'
import {
  inviteEncoding,
  nodeRecordEncoding,
  removedNodeEncoding,
  sessionEncoding
} from './encoding.ts'
import type { Session } from './sessions.ts'
import type { Applied, Invite, NodeRecord, RemovedNode, Revision } from './state-machine.ts'

export const SNAPSHOT_MAGIC: Uint8Array = Uint8Array.of(...bytesOf('aspensnp'), 2)
/** The size. */
export const RECORD_HEADER_BYTES = 4

export type SnapshotRecord =
  | ({ readonly kind: 'head' } & SnapshotHead)
  | { readonly kind: 'node'; readonly node: NodeRecord }
  | { readonly kind: 'removed'; readonly removed: RemovedNode }
  | { readonly kind: 'invite'; readonly invite: Invite }
  | { readonly kind: 'session'; readonly session: Session }
  | ({ readonly kind: 'row' } & SnapshotRow)
  | ({ readonly kind: 'key' } & SnapshotKey)
  | ({ readonly kind: 'end' } & SnapshotCounts)

/** A record between head and end. */
export type BodyRecord = Exclude<SnapshotRecord, { kind: 'head' | 'end' }>

export interface SnapshotHead {
  /** of the cluster that it is from */
  readonly genesisHash: Uint8Array
  readonly applied: Applied
  readonly epoch: number
  readonly nextNodeId: number
  /** of the table of sessions */
  readonly forgottenIndex: Index
}

/** One change. Its id is revision × REVISION_STRIDE + ordinal. */
export interface SnapshotRow {
  readonly revision: Revision
  readonly ordinal: number
  /** the row that was the newest of its key before; 0: none, or forgotten */
  readonly supersededRevision: Revision
  readonly supersededOrdinal: number
  readonly createRevision: Revision
  /** 0 in a tombstone */
  readonly version: number
  readonly key: Uint8Array
  /** null: a tombstone */
  readonly value: Uint8Array | null
}

/** The newest row of a live key. */
export interface SnapshotKey {
  readonly key: Uint8Array
  readonly revision: Revision
  readonly ordinal: number
  readonly createRevision: Revision
  readonly version: number
  readonly valueBytes: number
  /** `rowHash` of the row */
  readonly hash: Uint8Array
}

/** Records of each kind, without head and end. */
export interface SnapshotCounts {
  readonly nodes: number
  readonly removed: number
  readonly invites: number
  readonly sessions: number
  readonly rows: number
  readonly keys: number
}

const index = boundedUint(MAX_INDEX)
const count = boundedUint(Number.MAX_SAFE_INTEGER)
const hash = fixedBytes(HASH_BYTES)
const ordinal = boundedUint(MAX_CHANGES_PER_ENTRY - 1)
const key = boundedView(MAX_KEY_SIZE)
const value = nullable(boundedView(MAX_VALUE_SIZE))

const applied = record<Applied>({
  index,
  term: boundedUint(MAX_TERM),
  hash,
  timeMs: count,
  configuration: configurationEncoding,
  configurationIndex: index,
  stateHash: hash,
  liveCount: count,
  liveBytes: count,
  votersChangedMs: count,
  compactedRevision: index,
  featureLevel: count
})

/** Also how the database keeps it. */
export const snapshotHeadEncoding: Encoder<SnapshotHead> = record<SnapshotHead>({
  genesisHash: hash,
  applied,
  epoch: index,
  nextNodeId: boundedUint(MAX_NODE_ID),
  forgottenIndex: index
})

/** Rows and keys are written out, field by field: there are millions of them. */
const rowBody: Encoder<SnapshotRow> = {
  preencode(state, row) {
    c.uint.preencode(state, row.revision)
    c.uint.preencode(state, row.ordinal)
    c.uint.preencode(state, row.supersededRevision)
    c.uint.preencode(state, row.supersededOrdinal)
    c.uint.preencode(state, row.createRevision)
    c.uint.preencode(state, row.version)
    key.preencode(state, row.key)
    value.preencode(state, row.value)
  },
  encode(state, row) {
    c.uint.encode(state, row.revision)
    c.uint.encode(state, row.ordinal)
    c.uint.encode(state, row.supersededRevision)
    c.uint.encode(state, row.supersededOrdinal)
    c.uint.encode(state, row.createRevision)
    c.uint.encode(state, row.version)
    key.encode(state, row.key)
    value.encode(state, row.value)
  },
  decode: (state) => ({
    revision: index.decode(state),
    ordinal: ordinal.decode(state),
    supersededRevision: index.decode(state),
    supersededOrdinal: ordinal.decode(state),
    createRevision: index.decode(state),
    version: count.decode(state),
    key: key.decode(state),
    value: value.decode(state)
  })
}

const keyBody: Encoder<SnapshotKey> = {
  preencode(state, each) {
    key.preencode(state, each.key)
    c.uint.preencode(state, each.revision)
    c.uint.preencode(state, each.ordinal)
    c.uint.preencode(state, each.createRevision)
    c.uint.preencode(state, each.version)
    c.uint.preencode(state, each.valueBytes)
    hash.preencode(state, each.hash)
  },
  encode(state, each) {
    key.encode(state, each.key)
    c.uint.encode(state, each.revision)
    c.uint.encode(state, each.ordinal)
    c.uint.encode(state, each.createRevision)
    c.uint.encode(state, each.version)
    c.uint.encode(state, each.valueBytes)
    hash.encode(state, each.hash)
  },
  decode: (state) => ({
    key: key.decode(state),
    revision: index.decode(state),
    ordinal: ordinal.decode(state),
    createRevision: index.decode(state),
    version: count.decode(state),
    valueBytes: count.decode(state),
    hash: hash.decode(state)
  })
}

/** A record behind its size. */
export const snapshotRecordEncoding: Encoder<SnapshotRecord> = tagged<SnapshotRecord>(
  'snapshot record',
  {
    head: {
      byte: 0,
      body: snapshotHeadEncoding
    },
    node: { byte: 1, body: record({ node: nodeRecordEncoding }) },
    removed: { byte: 2, body: record({ removed: removedNodeEncoding }) },
    invite: { byte: 3, body: record({ invite: inviteEncoding }) },
    session: { byte: 4, body: record({ session: sessionEncoding }) },
    row: { byte: 5, body: rowBody },
    key: { byte: 6, body: keyBody },
    end: {
      byte: 7,
      body: record<SnapshotCounts>({
        nodes: count,
        removed: count,
        invites: count,
        sessions: count,
        rows: count,
        keys: count
      })
    }
  }
)

/**
 * What a backup keeps of a record; null: nothing. It has no invites and no sessions, and of a node neither the
 * sealed secret nor the ticket that let it in: nothing with which anybody could come into the cluster. Who was removed is no secret.
 */
export function withoutSecrets(each: BodyRecord): BodyRecord | null {
  if (each.kind === 'invite' || each.kind === 'session') return null
  if (each.kind !== 'node') return each
  const node = { ...each.node, sealedSecret: new Uint8Array(0), invitePublicKey: null }
  return { kind: 'node', node }
}
